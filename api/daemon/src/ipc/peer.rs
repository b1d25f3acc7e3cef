//! Who is at the other end of a socket, as the kernel says.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::libc;
use tokio::net::UnixStream;

/// The process that connected, as it was when it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// Its groups, the primary one first.
    pub groups: Vec<u32>,
    /// Its process id; 0 when it is in a pid namespace not visible here.
    pub pid: i32,
}

impl Peer {
    /// The process at the other end of `stream`.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn of(stream: &UnixStream) -> io::Result<Peer> {
        let credentials = stream.peer_cred()?;
        let mut groups = vec![credentials.gid()];
        groups.extend(supplementary_groups(stream.as_fd())?);
        Ok(Peer { uid: credentials.uid(), groups, pid: credentials.pid().unwrap_or(0) })
    }
}

/// The supplementary groups of the peer (SO_PEERGROUPS, for which no safe call exists).
#[expect(unsafe_code, reason = "getsockopt with a buffer of a length only the kernel knows")]
fn supplementary_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let capacity = size_of_val(groups.as_slice());
        let mut length = libc::socklen_t::try_from(capacity).map_err(|_| io::ErrorKind::InvalidData)?;
        // SAFETY: the buffer is valid for writes of `length` bytes, and the kernel writes at most that many and the
        // length itself; both outlive the call.
        let status = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let needed = length as usize / size_of::<libc::gid_t>();
        if status == 0 {
            groups.truncate(needed);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // The kernel refuses a short buffer with the length it needs.
        if error.raw_os_error() != Some(libc::ERANGE) || needed <= groups.len() {
            return Err(error);
        }
        groups.resize(needed, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_process_is_its_own_peer() {
        let (a, _b) = UnixStream::pair().unwrap();
        let peer = Peer::of(&a).unwrap();
        assert_eq!(peer.uid, nix::unistd::getuid().as_raw());
        assert_eq!(peer.groups.first(), Some(&nix::unistd::getgid().as_raw()));
        assert_eq!(peer.pid, std::process::id() as i32);
        let mut supplementary: Vec<u32> = nix::unistd::getgroups().unwrap().iter().map(|gid| gid.as_raw()).collect();
        let mut reported = peer.groups[1..].to_vec();
        supplementary.sort_unstable();
        reported.sort_unstable();
        assert_eq!(reported, supplementary);
    }
}
