//! What demonstrations print.

use std::sync::atomic::{AtomicU32, Ordering};

static STEP: AtomicU32 = AtomicU32::new(1);

/// Announces the next step.
pub fn step(title: &str) {
    println!("\n── {}. {title}", STEP.fetch_add(1, Ordering::Relaxed));
}

/// Prints text, indented.
pub fn say(text: &str) {
    text.lines().for_each(|line| println!("   {line}"));
}

/// Prints a command and what it printed.
pub fn command(prompt: &str, command: &str, output: &str) {
    println!("   {prompt} {command}");
    say(output);
}
