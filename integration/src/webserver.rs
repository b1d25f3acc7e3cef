use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Attempt, LabError};
use crate::file::{random_file, sha256};
use crate::lab::{Host, Lab};
use crate::process::Process;

const START_UP: Duration = Duration::from_secs(10);

/// An nginx of the lab. `/` says who asks and who answers, `/files/NAME` serves a file of random bytes, a PUT to
/// `/upload/NAME` stores one.
#[derive(Debug)]
pub struct WebServer {
    process: Process,
    directory: PathBuf,
}

impl WebServer {
    /// Starts one on port 80 of a server's host, with configuration, logs and files of its own.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(lab: &Lab, host: &Host) -> Result<WebServer, LabError> {
        let name = format!("nginx-{}", host.address);
        let directory = lab.directory().join(&name);
        for part in ["files", "upload", "body"] {
            let path = directory.join(part);
            fs::create_dir_all(&path).attempt(|| format!("make {}", path.display()))?;
        }
        let file = directory.join("nginx.conf");
        fs::write(&file, configuration(&directory.display().to_string(), &host.address.to_string()))
            .attempt(|| format!("write {}", file.display()))?;
        let mut command = host.namespace.command("nginx");
        command.arg("-p").arg(&directory).arg("-e").arg("stderr").arg("-c").arg(&file);
        let mut process = Process::start(&name, &mut command, lab.directory())?;
        let address = SocketAddr::from((host.address, 80));
        process.until(&format!("{name} to listen"), START_UP, |_| {
            host.namespace.enter(|| TcpStream::connect(address).ok().map(drop))
        })?;
        Ok(WebServer { process, directory })
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Makes a file of `size` random bytes to be fetched from `/files/NAME`. Returns its SHA-256 in hexadecimal.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn offer(&self, name: &str, size: u64) -> Result<String, LabError> {
        let path = self.directory.join("files").join(name);
        random_file(&path, size)?;
        sha256(&path)
    }

    /// Where what was put to `/upload/NAME` is.
    pub fn uploaded(&self, name: &str) -> PathBuf {
        self.directory.join("upload").join(name)
    }
}

fn configuration(directory: &str, address: &str) -> String {
    format!(
        r#"daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {directory}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    default_type text/plain;
    sendfile on;
    client_max_body_size 0;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen {address}:80 backlog=8192;
        location / {{ return 200 "Your ip:port : $remote_addr:$remote_port\nserver {address}\n"; }}
        location /files/ {{ alias {directory}/files/; }}
        location /upload/ {{ alias {directory}/upload/; dav_methods PUT; }}
    }}
}}
"#
    )
}
