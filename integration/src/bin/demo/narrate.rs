//! What the demonstration prints.

use std::sync::atomic::{AtomicU32, Ordering};

static STEP: AtomicU32 = AtomicU32::new(1);

/// Announces the next step.
pub(crate) fn step(title: &str) {
    println!("\n── {}. {title}", STEP.fetch_add(1, Ordering::Relaxed));
}

/// Prints text, indented.
pub(crate) fn say(text: &str) {
    text.lines().for_each(|line| println!("   {line}"));
}

/// Prints a command and what it printed.
pub(crate) fn command(prompt: &str, command: &str, output: &str) {
    println!("   {prompt} {command}");
    say(output);
}
