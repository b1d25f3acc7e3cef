//! The real program against a dataplane of canned replies.

mod failures;
mod fake;
mod output;
mod requests;
