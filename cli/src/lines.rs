//! Standard output, line by line.

use std::io::{self, BufWriter, Stdout, Write};

/// Writes lines without their trailing blanks. DPVS pads the last column of its listings, its tutorial does not show
/// that, and nobody misses it: here is the one place where the blanks go.
pub(crate) struct Lines<W: Write>(W);

impl Lines<BufWriter<Stdout>> {
    /// Lines of standard output, buffered until [`Lines::flush`].
    pub(crate) fn stdout() -> Self {
        Lines(BufWriter::new(io::stdout()))
    }
}

impl<W: Write> Lines<W> {
    /// Writes text of one or more lines.
    pub(crate) fn print(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        for line in text.as_ref().split('\n') {
            writeln!(self.0, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Writes out what is buffered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What `write` prints.
#[cfg(test)]
pub(crate) fn printed(write: impl FnOnce(&mut Lines<Vec<u8>>) -> io::Result<()>) -> String {
    let mut lines = Lines(Vec::new());
    write(&mut lines).unwrap();
    String::from_utf8(lines.0).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_blanks_go() {
        assert_eq!(printed(|out| out.print("a b  \n  c \n")), "a b\n  c\n\n");
    }
}
