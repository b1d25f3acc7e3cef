//! `sluice`, the operator's command, which also answers to the names `ipvsadm` and `dpip` with the syntax and the
//! printed formats of DPVS.

mod change;
mod connect;
mod dpip;
mod failure;
mod ipvsadm;
mod lines;
mod sluice;
mod value;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use connect::Target;
use lines::Lines;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    let out = Lines::stdout();
    match Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some("ipvsadm") => failure::report("ipvsadm", ipvsadm::run(args, &Target::personality(None), out)),
        Some("dpip") => failure::report("dpip", dpip::run(args, &Target::personality(None), out)),
        _ => sluice::main(args, out),
    }
}
