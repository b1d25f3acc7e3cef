//! Writing an advertisement.

use super::{
    AUTHENTICATION_LEN, Addresses, Advert, Authentication, ChecksumForm, Envelope, HEADER_LEN, Header, Interval,
    PROTOCOL, TYPE_ADVERTISEMENT, Version,
};
use crate::{NETWORK_CONTROL, checksum, ipv4, ipv6};
use zerocopy::IntoBytes;
use zerocopy::byteorder::network_endian::U16;

/// Why an advertisement cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// The buffer is too short.
    #[error("the advertisement takes {0} bytes, more than there is room for")]
    NoRoom(usize),
    /// A message counts up to 255 addresses, and in version 3 at least one.
    #[error("an advertisement cannot hold {0} addresses; it holds 1 to 255")]
    Count(usize),
    /// The version cannot say this interval.
    #[error("version 2 says whole seconds up to 255, version 3 up to 4095 cs; not {} cs", .0.centiseconds())]
    Interval(Interval),
    /// The addresses are not of the family of the IP header, or version 2 is over IPv6.
    #[error("the addresses are not of the family of the packet, or version 2 is over IPv6")]
    Family,
    /// Version 3 has no authentication.
    #[error("version 3 has no authentication")]
    Authentication,
    /// Version 2 and IPv6 have the checksum in one form only.
    #[error("only version 3 over IPv4 leaves a choice of what the checksum covers")]
    Checksum,
}

impl Advert<'_> {
    /// Length of the message, in bytes.
    pub fn message_len(&self) -> usize {
        let authentication = if self.fields.version == Version::V2 { AUTHENTICATION_LEN } else { 0 };
        HEADER_LEN + self.address_bytes().len() + authentication
    }

    fn address_bytes(&self) -> &[u8] {
        match self.addresses {
            Addresses::V4(addresses) => addresses.as_flattened(),
            Addresses::V6(addresses) => addresses.as_flattened(),
        }
    }

    /// Writes the message for a packet with this IP header to the start of `out`, and returns its length.
    ///
    /// # Errors
    /// When it would not be what [`super::parse`] takes; `out` is then as it was.
    pub fn write(&self, ip: &Envelope, out: &mut [u8]) -> Result<usize, Unwritable> {
        let count = self.check(ip)?;
        let len = self.message_len();
        let out = out.get_mut(..len).ok_or(Unwritable::NoRoom(len))?;
        let fields = &self.fields;
        let (version, interval) = match fields.version {
            Version::V2 => {
                let seconds = fields.interval.centiseconds() / 100;
                (2, u16::from(fields.authentication.kind()) << 8 | seconds)
            }
            Version::V3 => (3, fields.interval.centiseconds()),
        };
        let mut header = Header {
            version_type: version << 4 | TYPE_ADVERTISEMENT,
            vrid: fields.vrid.get(),
            priority: fields.priority,
            count,
            interval: U16::new(interval),
            checksum: U16::ZERO,
        };
        let data = match fields.authentication {
            Authentication::None => [0; AUTHENTICATION_LEN],
            Authentication::Password(password) => password,
        };
        let pseudo_header = match fields.checksum {
            ChecksumForm::PseudoHeader => ip.pseudo_header(len),
            ChecksumForm::Message => 0,
        };
        let parts = [self.address_bytes(), &data];
        let sums = parts.into_iter().map(checksum::ones_complement).fold(pseudo_header, checksum::add);
        header.checksum.set(!checksum::add(sums, checksum::ones_complement(header.as_bytes())));
        let bytes = [header.as_bytes(), parts[0], parts[1]].into_iter().flatten();
        out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(len)
    }

    /// The number of addresses, if the message can be.
    fn check(&self, ip: &Envelope) -> Result<u8, Unwritable> {
        let fields = &self.fields;
        match (ip, self.addresses, fields.version) {
            (Envelope::V4 { .. }, Addresses::V4(_), _) | (Envelope::V6 { .. }, Addresses::V6(_), Version::V3) => (),
            _ => return Err(Unwritable::Family),
        }
        if !fields.interval.fits(fields.version) {
            return Err(Unwritable::Interval(fields.interval));
        }
        if fields.version == Version::V3 && fields.authentication != Authentication::None {
            return Err(Unwritable::Authentication);
        }
        if ChecksumForm::only(fields.version, ip).is_some_and(|only| only != fields.checksum) {
            return Err(Unwritable::Checksum);
        }
        let count = self.addresses.len();
        let missing = fields.version == Version::V3 && count == 0;
        u8::try_from(count).ok().filter(|_| !missing).ok_or(Unwritable::Count(count))
    }
}

impl Envelope {
    /// The IP packet around a message, of the class of network control.
    pub fn packet(&self, message: &[u8]) -> Vec<u8> {
        let length = message.len() as u16;
        match *self {
            Envelope::V4 { source, destination, ttl } => {
                let mut header = ipv4::Header::new(source, destination, PROTOCOL, ttl, length);
                header.tos = NETWORK_CONTROL;
                let mut bytes = header.as_bytes().to_vec();
                let finished = ipv4::finish(&mut bytes);
                debug_assert!(finished, "the header is there");
                [&bytes, message].concat()
            }
            Envelope::V6 { source, destination, hop_limit } => {
                let header = ipv6::Header::new(source, destination, PROTOCOL, hop_limit, length);
                [header.with_class(NETWORK_CONTROL).as_bytes(), message].concat()
            }
        }
    }
}
