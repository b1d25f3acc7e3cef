//! Commands in the configuration: a program and its arguments on one line.

use std::fmt;

/// A program, by its absolute path, and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The words; at least one.
    words: Vec<String>,
}

impl CommandLine {
    /// Splits a line as keepalived does: words are separated by blanks, between single or double quotes a blank is one
    /// like any other, and a backslash takes the next character as it is, except between single quotes. Nothing else
    /// that a shell does is done.
    ///
    /// # Errors
    /// When a quote is not closed, or the program has no absolute path.
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let words = split(line)?;
        match words.first() {
            None => Err(CommandError::Empty),
            Some(program) if !program.starts_with('/') || program.ends_with('/') => {
                Err(CommandError::Relative(program.clone()))
            }
            Some(_) => Ok(Self { words }),
        }
    }

    /// The program and its arguments, with further ones.
    pub fn argv(&self, further: impl IntoIterator<Item = String>) -> Vec<String> {
        self.words.iter().cloned().chain(further).collect()
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no word in it.
    #[error("the command is empty; name a program by its absolute path")]
    Empty,
    /// The program is not named by an absolute path.
    #[error("{0:?} is no absolute path of a program, like /usr/local/bin/check; there is no shell that would find it")]
    Relative(String),
    /// A quote is not closed, or nothing follows a backslash.
    #[error("{0} is not closed")]
    Unclosed(char),
    /// There is a character that no argument can have.
    #[error("there is a NUL in it, which no argument can have")]
    Nul,
}

fn split(line: &str) -> Result<Vec<String>, CommandError> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        match (quote, character) {
            (_, '\0') => return Err(CommandError::Nul),
            (None | Some('"'), '\\') => {
                word.get_or_insert_default().push(rest.next().ok_or(CommandError::Unclosed('\\'))?);
            }
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if let Some(open) = quote {
        return Err(CommandError::Unclosed(open));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_at_blanks_and_by_quotes() {
        let cases: [(&str, &[&str]); 7] = [
            ("/bin/true", &["/bin/true"]),
            ("  /bin/a  b\tc\n", &["/bin/a", "b", "c"]),
            (r#"/bin/a "b c" 'd "e"'"#, &["/bin/a", "b c", "d \"e\""]),
            (r#"/bin/a b"c d"e '' """#, &["/bin/a", "bc de", "", ""]),
            (r#"/bin/a b\ c "d\"e" 'f\g'"#, &["/bin/a", "b c", "d\"e", r"f\g"]),
            ("'/bin/with blank' x", &["/bin/with blank", "x"]),
            ("/bin/a $HOME; `b` | c > d *", &["/bin/a", "$HOME;", "`b`", "|", "c", ">", "d", "*"]),
        ];
        for (line, words) in cases {
            assert_eq!(CommandLine::parse(line).unwrap().argv([]), words, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let cases = [
            ("", CommandError::Empty),
            (" \t", CommandError::Empty),
            ("true", CommandError::Relative("true".into())),
            ("''", CommandError::Relative(String::new())),
            ("/bin/", CommandError::Relative("/bin/".into())),
            ("/bin/a 'b", CommandError::Unclosed('\'')),
            ("/bin/a \"b\\\"", CommandError::Unclosed('"')),
            ("/bin/a \\", CommandError::Unclosed('\\')),
            ("/bin/a \0", CommandError::Nul),
        ];
        for (line, error) in cases {
            assert_eq!(CommandLine::parse(line), Err(error), "{line:?}");
        }
    }
}
