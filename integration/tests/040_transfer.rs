//! Large files through the VIP, both ways.

use std::time::Duration;

use integration::{FullNat, Settings, file, settle};

/// The size of the file in MiB, unless the environment says otherwise.
const MEBIBYTES: u64 = 256;

fn mebibytes() -> u64 {
    match std::env::var("SLUICE_TRANSFER_MIB") {
        Ok(text) => text.parse().expect("SLUICE_TRANSFER_MIB is a number"),
        Err(_) => MEBIBYTES,
    }
}

#[test]
fn a_large_file_arrives_intact_in_both_directions() {
    let scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    // An odd size: the last segment is not full.
    let size = (mebibytes() << 20) + 1;
    let (download, upload) = (scene.lab.directory().join("download"), scene.lab.directory().join("upload"));
    // Whichever server is chosen has a file of its own.
    let sums: Vec<String> = scene.web.iter().map(|web| web.offer("blob", size).unwrap()).collect();
    scene.lab.client.run(&format!("curl -sSf -o {} http://10.0.0.100/files/blob", download.display())).unwrap();
    assert!(sums.contains(&file::sha256(&download).unwrap()));

    file::random_file(&upload, size).unwrap();
    scene.lab.client.run(&format!("curl -sSf -T {} http://10.0.0.100/upload/blob", upload.display())).unwrap();
    let stored = scene.web.iter().map(|web| web.uploaded("blob")).find(|path| path.exists()).unwrap();
    assert_eq!(file::sha256(&stored).unwrap(), file::sha256(&upload).unwrap());
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}
