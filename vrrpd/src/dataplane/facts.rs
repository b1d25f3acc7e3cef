//! The facts that daemons post, across runs of the dataplane.

use api::ipc::BootId;
use std::collections::BTreeMap;

/// What is known of facts, by name. One that nobody has said anything about is not in it.
pub(crate) type Facts = BTreeMap<String, bool>;

/// What was said in earlier runs and has not been said again: it stays as it was, as who found it out may be slow, or
/// dead.
#[derive(Default)]
pub(super) struct Memory {
    boot: Option<BootId>,
    before: Facts,
}

impl Memory {
    /// What is known, now that a run of the dataplane has listed what it knows. `known` is what was, until now.
    pub(super) fn learn(&mut self, boot: BootId, listed: Facts, known: &Facts) -> Facts {
        if self.boot.replace(boot) != Some(boot) {
            self.before = known.clone();
        }
        self.before.retain(|name, _| !listed.contains_key(name));
        self.before.iter().map(|(name, holds)| (name.clone(), *holds)).chain(listed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(of: &[(&str, bool)]) -> Facts {
        of.iter().map(|(name, holds)| ((*name).to_owned(), *holds)).collect()
    }

    #[test]
    fn what_a_new_run_does_not_say_stays_until_it_does() {
        let (mut memory, mut known) = (Memory::default(), Facts::new());
        for (boot, listed, then) in [
            (1, &[("a", true), ("b", false)][..], &[("a", true), ("b", false)][..]),
            (1, &[("b", true)], &[("b", true)]),
            (1, &[("b", true), ("c", false)], &[("b", true), ("c", false)]),
            (2, &[], &[("b", true), ("c", false)]),
            (2, &[("c", true)], &[("b", true), ("c", true)]),
            (2, &[], &[("b", true)]),
            (2, &[("b", false)], &[("b", false)]),
            (2, &[], &[]),
        ] {
            known = memory.learn(BootId(boot), facts(listed), &known);
            assert_eq!(known, facts(then), "run {boot} lists {listed:?}");
        }
    }
}
