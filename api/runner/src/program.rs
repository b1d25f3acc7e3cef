//! What may run: programs that only root can change.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// How many symbolic links a path may lead over, as in the kernel.
const MAX_LINKS: usize = 40;

/// Why a program does not run.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Its path does not begin at the root.
    #[error("{} is no absolute path", .0.display())]
    Relative(PathBuf),
    /// It is not there, or cannot be looked at.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// What cannot.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is no file.
    #[error("{} is no file", .0.display())]
    NoFile(PathBuf),
    /// Others than root can change what would run.
    #[error("others than root can write to {}; give it to root, and take the right to write from all others", .0.display())]
    Writable(PathBuf),
}

/// The file that `path` leads to, if neither it, nor any directory or link on the way, can be changed or replaced by
/// others than root.
///
/// # Errors
/// Why it must not run.
pub fn fit(path: &Path) -> Result<PathBuf, Unfit> {
    if !path.is_absolute() {
        return Err(Unfit::Relative(path.to_owned()));
    }
    let mut at = PathBuf::from("/");
    let mut metadata = look(&at)?;
    let (mut ahead, mut links) = (components(path), 0);
    while let Some(next) = ahead.pop_front() {
        let next = at.join(next);
        let found = look(&next)?;
        if found.is_symlink() {
            links += 1;
            let target = fs::read_link(&next).map_err(|error| Unfit::Unreadable { path: next.clone(), error })?;
            if links > MAX_LINKS {
                let error = io::Error::other("too many symbolic links");
                return Err(Unfit::Unreadable { path: path.to_owned(), error });
            }
            let mut further = components(&target);
            further.append(&mut ahead);
            ahead = further;
            if !target.is_absolute() {
                continue;
            }
            at = PathBuf::from("/");
        } else if next.file_name().is_none() {
            // `..`, which the system resolves as it is: no link is left before it.
            at = at.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
        } else {
            at = next;
        }
        metadata = look(&at)?;
    }
    if metadata.is_file() { Ok(at) } else { Err(Unfit::NoFile(at)) }
}

/// What is there, if only root can change it.
fn look(path: &Path) -> Result<Metadata, Unfit> {
    let metadata = fs::symlink_metadata(path).map_err(|error| Unfit::Unreadable { path: path.to_owned(), error })?;
    // Nobody can write to a link.
    let mode = if metadata.is_symlink() { 0 } else { metadata.mode() };
    if is_roots(metadata.uid(), metadata.gid(), mode) { Ok(metadata) } else { Err(Unfit::Writable(path.to_owned())) }
}

/// Whether only root can write to it. In a sticky directory others may make things, but touch only their own: what
/// belongs to root there is as safe as elsewhere.
fn is_roots(uid: u32, gid: u32, mode: u32) -> bool {
    const STICKY_DIRECTORY: u32 = 0o041_000;
    let by_group = mode & 0o020 != 0 && gid != 0;
    let by_others = mode & 0o002 != 0;
    uid == 0 && (!(by_group || by_others) || mode & STICKY_DIRECTORY == STICKY_DIRECTORY)
}

fn components(path: &Path) -> VecDeque<OsString> {
    let named = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_roots_own_passes() {
        let file = 0o100_755;
        let cases = [
            (0, 0, file, true),
            (0, 50, 0o100_755, true),
            (1000, 0, file, false),
            (0, 0, 0o100_775, true),
            (0, 50, 0o100_775, false),
            (0, 0, 0o100_757, false),
            (0, 0, 0o040_777, false),
            (0, 0, 0o041_777, true),
            (1000, 0, 0o041_755, false),
            (0, 0, 0o101_757, false),
        ];
        for (uid, gid, mode, passes) in cases {
            assert_eq!(is_roots(uid, gid, mode), passes, "{uid} {gid} {mode:o}");
        }
    }

    #[test]
    fn the_systems_programs_pass_by_whatever_way() {
        let real = fs::canonicalize("/bin/sh").unwrap();
        for path in ["/bin/sh", "/usr/bin/sh", "/usr/../bin/./sh", "/../bin/sh"] {
            assert_eq!(fit(Path::new(path)).unwrap(), real, "{path}");
        }
        assert!(matches!(fit(Path::new("bin/sh")), Err(Unfit::Relative(_))));
        assert!(matches!(fit(Path::new("/bin")), Err(Unfit::NoFile(_))));
        assert!(matches!(fit(Path::new("/bin/no-such-program")), Err(Unfit::Unreadable { .. })));
    }

    #[test]
    fn what_others_can_change_does_not_pass_directly_nor_by_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        fs::copy("/bin/true", at("program")).unwrap();
        fs::set_permissions(at("program"), Permissions::from_mode(0o757)).unwrap();
        fs::create_dir(at("open")).unwrap();
        symlink("/bin/sh", at("open/link")).unwrap();
        fs::set_permissions(at("open"), Permissions::from_mode(0o777)).unwrap();
        symlink("program", at("link")).unwrap();
        symlink("loop", at("loop")).unwrap();
        for unsafe_one in ["program", "link", "open/link"] {
            let refused = fit(&at(unsafe_one)).unwrap_err();
            assert!(matches!(refused, Unfit::Writable(_)), "{unsafe_one}: {refused}");
        }
        assert!(fit(&at("loop")).is_err());
    }
}
