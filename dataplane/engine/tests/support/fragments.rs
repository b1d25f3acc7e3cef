//! IPv4 packets edited, cut and put together again, by means of the tests' own.

/// Makes the IPv4 header checksum right.
fn mend(frame: &mut [u8]) {
    let end = 14 + usize::from(frame[14] & 0xf) * 4;
    frame[24..26].fill(0);
    let sum = !net::checksum::ones_complement(&frame[14..end]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

/// The same packet, which may be fragmented.
pub fn fragmentable(mut frame: Vec<u8>, identification: u16) -> Vec<u8> {
    frame[18..20].copy_from_slice(&identification.to_be_bytes());
    frame[20..22].fill(0);
    mend(&mut frame);
    frame
}

/// The same packet with another TTL.
pub fn with_ttl(mut frame: Vec<u8>, ttl: u8) -> Vec<u8> {
    frame[22] = ttl;
    mend(&mut frame);
    frame
}

/// The same packet with IP options, in whole words.
pub fn with_ip_options(frame: Vec<u8>, options: &[u8]) -> Vec<u8> {
    let mut frame = [&frame[..34], options, &frame[34..]].concat();
    frame[14] += (options.len() / 4) as u8;
    let total_len = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&total_len.to_be_bytes());
    mend(&mut frame);
    frame
}

/// The fragments of a packet without IP options, each with at most `step` bytes of payload, a multiple of 8.
pub fn cut(frame: &[u8], step: usize) -> Vec<Vec<u8>> {
    let (headers, payload) = frame.split_at(34);
    let pieces = payload.chunks(step).enumerate();
    let fragment = |(n, piece): (usize, &[u8])| {
        let offset = n * step;
        let more = if offset + piece.len() < payload.len() { 0x2000 } else { 0 };
        let mut fragment = [headers, piece].concat();
        fragment[16..18].copy_from_slice(&((20 + piece.len()) as u16).to_be_bytes());
        fragment[20..22].copy_from_slice(&((offset / 8) as u16 | more).to_be_bytes());
        mend(&mut fragment);
        fragment
    };
    pieces.map(fragment).collect()
}

/// The packet that fragments, in any order, are of; panics if they are not all of one, or not all of it.
pub fn reassemble(frames: &[Vec<u8>]) -> Vec<u8> {
    let field = |frame: &[u8]| u16::from_be_bytes([frame[20], frame[21]]);
    let mut frames = frames.to_vec();
    frames.sort_by_key(|frame| field(frame) & 0x1fff);
    let mut whole = frames[0][..14 + usize::from(frames[0][14] & 0xf) * 4].to_vec();
    let start = whole.len();
    for (n, frame) in frames.iter().enumerate() {
        assert_eq!(frame[18..20], whole[18..20], "identification");
        assert_eq!(frame[26..34], whole[26..34], "addresses");
        let sum = net::checksum::ones_complement(&frame[14..14 + usize::from(frame[14] & 0xf) * 4]);
        assert_eq!(sum, 0xffff, "IPv4 checksum");
        assert_eq!(usize::from(field(frame) & 0x1fff) * 8, whole.len() - start, "a hole or an overlap");
        assert_eq!(field(frame) & 0xe000 == 0x2000, n + 1 < frames.len(), "more fragments");
        let total_len = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        assert_eq!(total_len + 14, frame.len());
        whole.extend_from_slice(&frame[14 + usize::from(frame[14] & 0xf) * 4..]);
    }
    let total_len = (whole.len() - 14) as u16;
    whole[16..18].copy_from_slice(&total_len.to_be_bytes());
    whole[20..22].fill(0);
    mend(&mut whole);
    whole
}

/// The same packet with other flags and another offset.
pub fn with_fragment_field(mut frame: Vec<u8>, field: u16) -> Vec<u8> {
    frame[20..22].copy_from_slice(&field.to_be_bytes());
    mend(&mut frame);
    frame
}
