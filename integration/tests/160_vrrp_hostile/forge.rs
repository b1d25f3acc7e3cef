//! Advertisements that are not what they should be.

use std::net::Ipv4Addr;

use net::ethernet::{self, EtherType};
use net::vrrp::{
    Addresses, Advert, Authentication, ChecksumForm, Envelope, Fields, GROUP_V4, Interval, PROTOCOL, Version, Vrid,
};
use net::{MacAddr, checksum, ipv4};
use zerocopy::IntoBytes;

/// The password of the virtual router of version 2.
pub const PASSWORD: &str = "1111";
/// Nobody in the lab.
const SENDER: MacAddr = MacAddr::new(2, 0, 0, 0, 0x66, 1);
/// VRRP's checksum is the fourth 16 bits of the message.
const CHECKSUM: std::ops::Range<usize> = 6..8;

/// A virtual router, and who pretends to be one.
#[derive(Clone, Copy)]
pub struct Victim {
    pub version: Version,
    pub vrid: u8,
    pub vip: Ipv4Addr,
    /// Whose frames these are.
    pub mac: MacAddr,
    /// From where they pretend to come.
    pub source: Ipv4Addr,
}

/// What is wrong with an advertisement, and as what it has to be counted; of another virtual router it is none of ours.
pub struct Forgery {
    pub what: &'static str,
    pub counted: Option<&'static str>,
    pub frame: Vec<u8>,
}

impl Victim {
    /// An advertisement with nothing wrong.
    pub fn advert(&self, priority: u8) -> Vec<u8> {
        self.frame(255, &self.message(self.fields(priority)))
    }

    /// The same of another virtual router.
    pub fn foreign(&self, vrid: u8) -> Vec<u8> {
        let vrid = Vrid::new(vrid).expect("not 0");
        self.frame(255, &self.message(Fields { vrid, ..self.fields(200) }))
    }

    /// Of every kind one, each of a priority that would depose, were it believed.
    pub fn forgeries(&self) -> Vec<Forgery> {
        let sound = self.message(self.fields(200));
        let other = match self.version {
            Version::V2 => Victim { version: Version::V3, ..*self },
            Version::V3 => Victim { version: Version::V2, ..*self },
        };
        let of = |what, counted, frame| Forgery { what, counted: Some(counted), frame };
        let damaged = |what, counted, damage: &dyn Fn(&mut Vec<u8>)| {
            let mut message = sound.clone();
            damage(&mut message);
            self.sum(&mut message);
            of(what, counted, self.frame(255, &message))
        };
        let unsummed = |what, counted, damage: &dyn Fn(&mut Vec<u8>)| {
            let mut message = sound.clone();
            damage(&mut message);
            of(what, counted, self.frame(255, &message))
        };
        let mut all = vec![
            of("TTL", "ttl", self.frame(254, &sound)),
            damaged("unknown version", "version", &|message| message[0] = message[0] & 0x0f | 0x40),
            of("the other version", "version", other.frame(255, &other.message(other.fields(200)))),
            damaged("type", "type", &|message| message[0] = message[0] & 0xf0 | 2),
            damaged("length", "length", &|message| message[3] += 1),
            unsummed("short", "length", &|message| message.truncate(7)),
            unsummed("checksum", "checksum", &|message| message[7] ^= 1),
            unsummed("oversized", "checksum", &|message| message.resize(1400, 0x5a)),
            Forgery { what: "foreign VRID", counted: None, frame: self.foreign(200) },
        ];
        match self.version {
            Version::V2 => all.extend([
                damaged("interval", "interval", &|message| message[5] = 2),
                damaged("type of authentication", "authentication_type", &|message| message[4] = 2),
                damaged("no authentication", "authentication_mismatch", &|message| message[4] = 0),
                damaged("password", "authentication_failed", &|message| message[12] ^= 1),
                damaged("address list", "address_list", &|message| message[11] ^= 1),
            ]),
            Version::V3 => all.extend([
                damaged("interval", "interval", &|message| message[4..6].fill(0)),
                damaged("no addresses", "count", &|message| {
                    message[3] = 0;
                    message.truncate(8);
                }),
                // It is believed all the same (RFC 9568, 7.1), so it must not be the better one.
                damaged("address list", "address_list", &|message| {
                    message[2] = 1;
                    message[11] ^= 1;
                }),
            ]),
        }
        all
    }

    fn fields(&self, priority: u8) -> Fields {
        let mut password = [0; 8];
        password[..PASSWORD.len()].copy_from_slice(PASSWORD.as_bytes());
        let (authentication, checksum) = match self.version {
            Version::V2 => (Authentication::Password(password), ChecksumForm::Message),
            Version::V3 => (Authentication::None, ChecksumForm::PseudoHeader),
        };
        Fields {
            version: self.version,
            vrid: Vrid::new(self.vrid).expect("not 0"),
            priority,
            interval: Interval::from_centiseconds(100).expect("a second"),
            authentication,
            checksum,
        }
    }

    fn message(&self, fields: Fields) -> Vec<u8> {
        let advert = Advert { fields, addresses: Addresses::V4(&[self.vip.octets()]) };
        let mut message = vec![0; advert.message_len()];
        let ip = Envelope::V4 { source: self.source, destination: GROUP_V4, ttl: 255 };
        advert.write(&ip, &mut message).expect("an advertisement");
        message
    }

    /// Puts the checksum right.
    fn sum(&self, message: &mut [u8]) {
        let pseudo = match self.version {
            Version::V2 => 0,
            Version::V3 => checksum::pseudo_header_v4(self.source, GROUP_V4, PROTOCOL, message.len() as u16),
        };
        message[CHECKSUM].fill(0);
        let sum = !checksum::add(pseudo, checksum::ones_complement(message));
        message[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
    }

    /// To the victim's station alone: its peers are left in peace.
    fn frame(&self, ttl: u8, message: &[u8]) -> Vec<u8> {
        let mut header =
            ipv4::Header::new(self.source, GROUP_V4, PROTOCOL, ttl, message.len() as u16).as_bytes().to_vec();
        assert!(ipv4::finish(&mut header));
        let ethernet = ethernet::Header::new(self.mac, SENDER, EtherType::IPV4);
        [ethernet.as_bytes(), &header, message].concat()
    }
}
