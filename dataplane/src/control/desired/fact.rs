//! What daemons have found out.

use api::ipc::{Refusal, RefusalKind};
use api::{Fact, ObjectKey, Owner};

use super::Desired;
use super::refuse::{invalid, refuse};

/// As many as there could be services with a few facts each.
const MAX_FACTS: usize = 65_536;

impl Desired {
    pub(super) fn add_fact(&mut self, owner: Owner, fact: &Fact, name: &ObjectKey) -> Result<(), Refusal> {
        if let Some(reason) = Fact::not_a_name(&fact.name) {
            return Err(invalid(reason));
        }
        if self.facts.claim(&fact.name, fact, owner, name)? {
            return Ok(());
        }
        if self.facts.len() >= MAX_FACTS {
            let message = format!("no room for another fact: there are {MAX_FACTS}; delete one");
            return Err(refuse(RefusalKind::Full, message));
        }
        let added = self.next_addition();
        self.facts.insert(fact.name.clone(), fact.clone(), owner, added, ());
        Ok(())
    }
}
