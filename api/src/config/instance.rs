//! Names of instances: several dataplanes may run on one machine.

/// A name that is not one of an instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("instance name {0:?} is not valid: use letters, digits and _, not beginning with a digit, at most 32")]
pub struct InvalidInstance(pub String);

/// Checks the name of an instance: `[A-Za-z_][A-Za-z0-9_]*`, at most 32 bytes, so that it can be part of a path and
/// of a bus name.
///
/// # Errors
/// When the name is another.
pub fn check_instance(name: &str) -> Result<(), InvalidInstance> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_well = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if starts_well && goes_well && name.len() <= 32 { Ok(()) } else { Err(InvalidInstance(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_paths_and_bus_names_pass() {
        for good in ["default", "_", "edge1", "Edge_2"] {
            assert_eq!(check_instance(good), Ok(()), "{good}");
        }
        for bad in ["", "1edge", "a-b", "../etc", "a/b", "é", "a b", "a.b", &"x".repeat(33)] {
            assert!(check_instance(bad).is_err(), "{bad}");
        }
    }
}
