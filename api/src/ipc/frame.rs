//! Frames: a 32-bit big-endian length, then that many bytes of postcard. The length is checked against a limit before
//! anything is allocated for it.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::LengthDelimitedCodec;

/// The longest frame a client may send, in bytes.
pub const MAX_REQUEST: usize = 1 << 20;

/// The longest frame a server sends, in bytes: a service with as many servers as can be configured fits.
pub const MAX_REPLY: usize = 16 << 20;

/// Why a frame was not understood.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The bytes are no such message.
    #[error("malformed message: {0}")]
    Malformed(#[from] postcard::Error),
    /// The message is followed by bytes that mean nothing.
    #[error("malformed message: {0} bytes too many")]
    TrailingBytes(usize),
}

/// The framing of one direction, refusing frames of more than `max` bytes.
pub fn codec(max: usize) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().length_field_type::<u32>().max_frame_length(max).new_codec()
}

/// Turns a message into the payload of a frame.
///
/// # Errors
/// When the message holds a value that postcard cannot express.
pub fn encode<T: Serialize>(message: &T) -> Result<Bytes, FrameError> {
    Ok(postcard::to_stdvec(message)?.into())
}

/// Reads a message from the payload of a frame.
///
/// # Errors
/// When the payload is not exactly one such message.
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(payload)? {
        (message, []) => Ok(message),
        (_, rest) => Err(FrameError::TrailingBytes(rest.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_must_be_one_message_and_no_more() {
        let mut payload = encode(&(7u32, "x".to_owned())).unwrap().to_vec();
        assert_eq!(decode::<(u32, String)>(&payload).unwrap(), (7, "x".to_owned()));
        payload.push(0);
        assert!(matches!(decode::<(u32, String)>(&payload), Err(FrameError::TrailingBytes(1))));
        assert!(matches!(decode::<(u32, String)>(&payload[..1]), Err(FrameError::Malformed(_))));
    }
}
