//! A network device whose other end is a file: a persistent TAP.
#![expect(unsafe_code, reason = "a TAP is set up by ioctl")]

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use net::MacAddr;
use nix::libc::{self, ifreq};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Where TAPs are made.
const CLONE_DEVICE: &str = "/dev/net/tun";

/// A port's twin in the kernel. Once kept, the device stays when this is dropped, with its index and addresses; it only
/// loses its carrier.
#[derive(Debug)]
pub struct Twin {
    name: String,
    file: File,
    /// To name the device by in requests that are not for the file.
    socket: OwnedFd,
}

impl Twin {
    /// Makes the device of that name, or takes it over where it is.
    ///
    /// # Errors
    /// When it is no TAP, another process has it, or the kernel refuses.
    pub fn open(name: &str) -> io::Result<Twin> {
        let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(CLONE_DEVICE)?;
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        let twin = Twin { name: name.to_owned(), file, socket };
        let mut request = twin.request()?;
        let kind = libc::IFF_TAP | libc::IFF_NO_PI;
        request.ifr_ifru.ifru_flags = kind as libc::c_short;
        twin.call(&twin.file, libc::TUNSETIFF, &raw mut request)?;
        Ok(twin)
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lets the device outlive whoever has it. Until then, one that was made by [`Twin::open`] goes with this.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn keep(&self) -> io::Result<()> {
        // SAFETY: the request takes its argument by value, and the file is open.
        check(unsafe { libc::ioctl(self.file.as_raw_fd(), libc::TUNSETPERSIST, 1) })
    }

    /// Gives the device a MAC address and an MTU. What is so already is left alone: a change of address would make the
    /// kernel forget neighbours.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn resemble(&self, mac: MacAddr, mtu: u16) -> io::Result<()> {
        let mut request = self.request()?;
        self.call(&self.socket, libc::SIOCGIFHWADDR, &raw mut request)?;
        let wanted = mac.into_array().map(|byte| byte as libc::c_char);
        // SAFETY: the call above has filled in the hardware address.
        let address = unsafe { &mut request.ifr_ifru.ifru_hwaddr };
        if address.sa_data[..6] != wanted {
            address.sa_data[..6].copy_from_slice(&wanted);
            self.call(&self.socket, libc::SIOCSIFHWADDR, &raw mut request)?;
        }
        request.ifr_ifru.ifru_mtu = mtu.into();
        self.call(&self.socket, libc::SIOCSIFMTU, &raw mut request)
    }

    /// Says whether the cable is plugged in.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_carrier(&self, up: bool) -> io::Result<()> {
        let mut carrier = libc::c_int::from(up);
        // SAFETY: the request reads an int, and the file is open.
        check(unsafe { libc::ioctl(self.file.as_raw_fd(), libc::TUNSETCARRIER, &raw mut carrier) })
    }

    /// Has the kernel receive a frame that comes in two pieces.
    ///
    /// # Errors
    /// When the device is down.
    pub fn deliver(&self, frame: (&[u8], &[u8])) -> io::Result<()> {
        (&self.file).write_vectored(&[IoSlice::new(frame.0), IoSlice::new(frame.1)]).map(drop)
    }

    /// The next frame that the kernel has sent; its length.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is none; otherwise the device is down.
    pub fn take(&self, frame: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(frame)
    }

    /// A request about the device, with nothing in it yet.
    fn request(&self) -> io::Result<ifreq> {
        // SAFETY: a C structure of numbers and pointers, for which zero means nothing.
        let mut request: ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
        // One byte is for the end of the name.
        if self.name.len() >= request.ifr_name.len() {
            let reason = format!("a network device's name has at most {} bytes", request.ifr_name.len() - 1);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(self.name.bytes()) {
            *to = from as libc::c_char;
        }
        Ok(request)
    }

    fn call(&self, file: &impl AsRawFd, code: libc::Ioctl, request: *mut ifreq) -> io::Result<()> {
        // SAFETY: the requests made here read and write an ifreq, and the file is open.
        check(unsafe { libc::ioctl(file.as_raw_fd(), code, request) })
    }
}

impl AsFd for Twin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn check(status: libc::c_int) -> io::Result<()> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
