//! The names of things on the bus.

use std::fmt::Write;

/// The name that an instance of a program has, whose own is `program`.
pub fn of_instance(program: &str, instance: &str) -> String {
    if instance == "default" { program.to_owned() } else { format!("{program}.{instance}") }
}

/// A name as a part of a path, which has letters, digits and `_` only: any other byte, and `_` itself, becomes `_` and
/// two hexadecimal digits.
pub fn escape(name: &str) -> String {
    name.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "_{byte:02x}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_name_of_its_own() {
        let of = |instance| of_instance("org.sluice.Vrrp1", instance);
        assert_eq!((of("default").as_str(), of("edge").as_str()), ("org.sluice.Vrrp1", "org.sluice.Vrrp1.edge"));
        assert_eq!((escape("lan-0_a").as_str(), escape("VI_1").as_str()), ("lan_2d0_5fa", "VI_5f1"));
    }
}
