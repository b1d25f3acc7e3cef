//! UDP echo: a server for the real servers' side and a client that checks what comes back.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Attempt, LabError};
use crate::netns::Namespace;

/// The largest payload of a UDP datagram in an Ethernet frame, in bytes: 1500 less 20 of IPv4 and 8 of UDP.
pub const MAX_PAYLOAD: usize = 1472;

/// How long an echo may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the server looks whether it should end.
const TURN: Duration = Duration::from_millis(50);

/// A server that sends back what it gets, until it is dropped.
#[derive(Debug)]
pub struct EchoServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EchoServer {
    /// Starts one in a namespace.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Result<EchoServer, LabError> {
        let socket = bind(namespace, address)?;
        socket.set_read_timeout(Some(TURN)).attempt(|| "set a timeout".to_owned())?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || serve(&socket, &stopped));
        Ok(EchoServer { stop, thread: Some(thread) })
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed; what it failed to echo has been missed.
            let _ = thread.join();
        }
    }
}

/// Sends a datagram of each size, from one socket, and checks that it comes back as it was.
///
/// # Errors
/// [`LabError::Unexpected`] naming the first size that did not.
pub fn echo_sizes(client: &Namespace, target: SocketAddr, sizes: RangeInclusive<usize>) -> Result<(), LabError> {
    let socket = bind(client, SocketAddr::from(([0, 0, 0, 0], 0)))?;
    socket.connect(target).attempt(|| format!("connect to {target}"))?;
    socket.set_read_timeout(Some(PATIENCE)).attempt(|| "set a timeout".to_owned())?;
    let mut back = [0; 1 << 16];
    for size in sizes {
        let sent: Vec<u8> = (0..size).map(|i| (i * 31 + size) as u8).collect();
        socket.send(&sent).attempt(|| format!("send {size} bytes to {target}"))?;
        let length = socket.recv(&mut back).attempt(|| format!("get {size} bytes back from {target}"))?;
        if back[..length] != sent {
            return Err(LabError::Unexpected(format!("{size} bytes sent to {target} came back changed, as {length}")));
        }
    }
    Ok(())
}

fn bind(namespace: &Namespace, address: SocketAddr) -> Result<UdpSocket, LabError> {
    namespace.enter(|| UdpSocket::bind(address))?.attempt(|| format!("bind {address} in {}", namespace.name()))
}

fn serve(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                // What cannot be sent back is missed by the client, which tells.
                let _ = socket.send_to(&buffer[..length], from);
            }
            // A receive with a timeout is interrupted by signals whatever their handler asks for, as signal(7) says.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => panic!("the echo server cannot receive: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::os::unix::thread::JoinHandleExt;

    use nix::sys::pthread::pthread_kill;
    use nix::sys::signal::Signal;

    use super::*;

    #[test]
    fn the_server_outlives_signals() {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let socket = UdpSocket::bind(here).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let address = socket.local_addr().unwrap();
        signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::default()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let server = thread::spawn(move || serve(&socket, &stopped));
        let client = UdpSocket::bind(here).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(1));
            pthread_kill(server.as_pthread_t(), Signal::SIGUSR1).unwrap();
            client.send_to(b"still there?", address).unwrap();
            client.recv(&mut [0; 16]).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        client.send_to(b"enough", address).unwrap();
        server.join().unwrap();
    }
}
