//! Permissions: what the service stores in files is for its user only, whatever the umask it was started
//! with.
//!
//! New files and directories get 0600 and 0700 from the process's own umask, so that no place that
//! creates one can forget it: SQLite's log, files of uploads, temporary ones. Those of an earlier version
//! are restricted when they are opened. Another user's files are left alone.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::Mode;
use rustix::process::{geteuid, umask};

/// The bits of the group and of others.
const OTHERS: u32 = 0o077;
/// In a directory with this bit, such as /tmp, users share what they store.
const STICKY: u32 = 0o1000;

/// Makes every file and directory that this process creates from now on private.
pub(crate) fn make_new_files_private() {
    umask(Mode::from_raw_mode(OTHERS));
}

/// Makes an existing file private; a missing one is none to worry about.
pub(crate) fn restrict_file(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.is_symlink() => restrict_file(&fs::canonicalize(path)?),
        Ok(file) => restrict(path, &file),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes an existing directory private, unless others have files in it: it may be one like /var/lib.
pub(crate) fn restrict_directory(path: &Path) -> io::Result<()> {
    let directory = fs::metadata(path)?;
    if directory.mode() & OTHERS == 0 {
        return Ok(());
    }
    if directory.mode() & STICKY != 0 || holds_files_of_others(path)? {
        tracing::warn!(
            directory = %path.display(),
            "other users' files are in this directory too, so its permissions stay as they are"
        );
        return Ok(());
    }
    restrict(path, &directory)
}

/// Makes an existing directory and everything in it private. That is done once: a directory that is
/// private already is taken for done.
pub(crate) fn restrict_tree(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.mode() & OTHERS == 0 {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => restrict_tree(&entry.path())?,
            Ok(metadata) if metadata.is_file() => restrict(&entry.path(), &metadata)?,
            Ok(_) => {}
            // Another process may have deleted it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    restrict_directory(path)
}

fn restrict(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.mode() & OTHERS == 0 || !is_ours(metadata) {
        return Ok(());
    }
    match fs::set_permissions(path, Permissions::from_mode(metadata.mode() & !OTHERS)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        set => set,
    }
}

fn holds_files_of_others(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        match entry?.metadata() {
            Ok(metadata) if !is_ours(&metadata) => return Ok(true),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(false)
}

fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn make(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_was_readable_by_others_is_restricted() {
        let root = tempfile::tempdir().unwrap();
        let (inner, file) = (root.path().join("inner"), root.path().join("inner/file"));
        fs::create_dir(&inner).unwrap();
        fs::write(&file, "x").unwrap();
        for (path, open) in [(root.path(), 0o755), (&*inner, 0o775), (&*file, 0o664)] {
            make(path, open);
        }
        restrict_tree(root.path()).unwrap();
        assert_eq!([mode(root.path()), mode(&inner), mode(&file)], [0o700, 0o700, 0o600]);
        make(&file, 0o444);
        restrict_file(&file).unwrap();
        assert_eq!(mode(&file), 0o400);
        restrict_file(&root.path().join("absent")).unwrap();
    }

    #[test]
    fn a_directory_that_users_share_stays_theirs() {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), 0o1777);
        restrict_directory(root.path()).unwrap();
        assert_eq!(mode(root.path()), 0o1777);
    }
}
