//! Reading an advertisement.

use super::{
    AUTHENTICATION_LEN, AUTHENTICATION_NONE, AUTHENTICATION_PASSWORD, Addresses, Advert, Authentication, ChecksumForm,
    Envelope, Fields, Header, Interval, TTL, TYPE_ADVERTISEMENT, V3_INTERVAL, Version, Vrid, VrrpError,
};
use crate::checksum;
use zerocopy::FromBytes;

/// Checks the VRRP message that is the whole payload of an IP packet: padding of the frame is the caller's to trim.
/// Bytes behind the addresses are ignored, but covered by the checksum.
pub fn parse<'a>(message: &'a [u8], ip: &Envelope) -> Result<Advert<'a>, VrrpError> {
    if ip.hops() != TTL {
        return Err(VrrpError::Ttl);
    }
    let (header, body) = Header::ref_from_prefix(message).map_err(|_| VrrpError::Length)?;
    let version = match (header.version_type >> 4, ip) {
        (2, Envelope::V4 { .. }) => Version::V2,
        (3, _) => Version::V3,
        _ => return Err(VrrpError::Version),
    };
    if header.version_type & 0x0f != TYPE_ADVERTISEMENT {
        return Err(VrrpError::Type);
    }
    let vrid = Vrid::new(header.vrid).ok_or(VrrpError::Vrid)?;
    let (addresses, rest) = addresses(body, header.count, ip).ok_or(VrrpError::Length)?;
    if version == Version::V2 && rest.len() < AUTHENTICATION_LEN {
        return Err(VrrpError::Length);
    }
    let checksum = checksum_form(message, version, ip).ok_or(VrrpError::Checksum)?;
    if version == Version::V3 && addresses.is_empty() {
        return Err(VrrpError::Count);
    }
    let (interval, authentication) = match version {
        Version::V2 => version_2(header, rest)?,
        Version::V3 => (header.interval.get() & V3_INTERVAL, Authentication::None),
    };
    let interval = Interval::from_centiseconds(interval).ok_or(VrrpError::Interval)?;
    let fields = Fields { version, vrid, priority: header.priority, interval, authentication, checksum };
    Ok(Advert { fields, addresses })
}

/// The addresses at the start of `body`, and what follows them.
fn addresses<'a>(body: &'a [u8], count: u8, ip: &Envelope) -> Option<(Addresses<'a>, &'a [u8])> {
    let count = usize::from(count);
    match ip {
        Envelope::V4 { .. } => {
            let (list, rest) = <[[u8; 4]]>::ref_from_prefix_with_elems(body, count).ok()?;
            Some((Addresses::V4(list), rest))
        }
        Envelope::V6 { .. } => {
            let (list, rest) = <[[u8; 16]]>::ref_from_prefix_with_elems(body, count).ok()?;
            Some((Addresses::V6(list), rest))
        }
    }
}

/// The form in which the checksum is right.
fn checksum_form(message: &[u8], version: Version, ip: &Envelope) -> Option<ChecksumForm> {
    let sum = checksum::ones_complement(message);
    let right = |form: &ChecksumForm| match form {
        ChecksumForm::PseudoHeader => checksum::add(ip.pseudo_header(message.len()), sum) == 0xffff,
        ChecksumForm::Message => sum == 0xffff,
    };
    match ChecksumForm::only(version, ip) {
        Some(form) => Some(form).filter(right),
        None => [ChecksumForm::PseudoHeader, ChecksumForm::Message].into_iter().find(right),
    }
}

/// The interval in centiseconds, and the authentication, whose data are `rest`.
fn version_2(header: &Header, rest: &[u8]) -> Result<(u16, Authentication), VrrpError> {
    let [kind, seconds] = header.interval.get().to_be_bytes();
    let authentication = match kind {
        AUTHENTICATION_NONE => Authentication::None,
        AUTHENTICATION_PASSWORD => {
            let data = rest.first_chunk::<AUTHENTICATION_LEN>().ok_or(VrrpError::Length)?;
            Authentication::Password(*data)
        }
        _ => return Err(VrrpError::AuthenticationType),
    };
    Ok((u16::from(seconds) * 100, authentication))
}
