//! The names of things on the bus.

use ::daemon::bus::{escape, of_instance};

/// The object that stands for vrrpd, above all others.
pub(super) const ROOT: &str = "/org/sluice/Vrrp1";

/// The name an instance of the daemon has on the bus.
pub(super) fn name(instance: &str) -> String {
    of_instance("org.sluice.Vrrp1", instance)
}

/// The path of a virtual router.
pub(super) fn instance(name: &str) -> String {
    format!("{ROOT}/instances/{}", escape(name))
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
