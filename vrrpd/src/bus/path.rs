//! The names of things on the bus.

use std::fmt::Write;

/// The object that stands for vrrpd, above all others.
pub(super) const ROOT: &str = "/org/sluice/Vrrp1";

/// The name an instance of the daemon has on the bus.
pub(super) fn name(instance: &str) -> String {
    match instance {
        "default" => "org.sluice.Vrrp1".to_owned(),
        other => format!("org.sluice.Vrrp1.{other}"),
    }
}

/// The path of a virtual router. A path has letters, digits and `_` only: any other byte, and `_` itself, becomes `_` and
/// two hexadecimal digits.
pub(super) fn instance(name: &str) -> String {
    name.bytes().fold(format!("{ROOT}/instances/"), |mut path, byte| {
        if byte.is_ascii_alphanumeric() {
            path.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "_{byte:02x}");
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_name_of_its_own() {
        assert_eq!((name("default").as_str(), name("edge").as_str()), ("org.sluice.Vrrp1", "org.sluice.Vrrp1.edge"));
        assert_eq!(instance("VI_1"), "/org/sluice/Vrrp1/instances/VI_5f1");
        assert!(zbus::ObjectPath::try_from(instance("a.b-c")).is_ok());
    }
}
