//! The policy files on disk: loads them, and keeps what is in force current while the daemon runs.
//!
//! [`load`] reads files and directories once. [`Rules`] holds the set in force and [`Rules::follow`]s the files: a
//! change takes effect when all files together are free of errors; until then the last good set stays in force and
//! the log says what is wrong.

mod follow;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::policy::{Diagnostics, PolicySet, Reading, read};

pub use follow::{Rules, RulesError};

/// The most bytes that are read of a file; more than the longest that a policy may have.
const LARGEST: u64 = 1024 * 1024;

/// What some files and directories were found to hold.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What each file holds, in the order of their paths.
    pub readings: Vec<Reading>,
    /// Paths that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// Errors of several files together.
    pub clashes: Vec<String>,
}

/// A path that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The path.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read `{}`: {}", self.path.display(), self.reason)
    }
}

impl Loaded {
    /// The policies, if all files could be read and hold no error.
    #[must_use]
    pub fn set(&self) -> Option<PolicySet> {
        let good = self.unreadable.is_empty() && self.clashes.is_empty();
        let policies: Option<Vec<_>> = self.readings.iter().map(|reading| reading.policy.clone()).collect();
        policies.filter(|_| good).map(PolicySet::new)
    }

    /// Everything that keeps the files from being used, a line each.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.faults(ToString::to_string)
    }

    /// The same for a person at a terminal: with the lines of the files that are meant.
    #[must_use]
    pub fn excerpts(&self) -> Vec<String> {
        self.faults(|findings| findings.render(false))
    }

    fn faults(&self, show: impl Fn(&Diagnostics) -> String) -> Vec<String> {
        let unreadable = self.unreadable.iter().map(ToString::to_string);
        let misread = self.readings.iter().map(|reading| &reading.findings).filter(|f| f.has_errors());
        unreadable.chain(misread.map(show)).chain(self.clashes.iter().cloned()).collect()
    }
}

/// Reads policy files. Of a directory, the files in it that end in `.yaml` or `.yml` and do not begin with a dot.
#[must_use]
pub fn load(paths: &[PathBuf]) -> Loaded {
    let mut loaded = Loaded { readings: Vec::new(), unreadable: Vec::new(), clashes: Vec::new() };
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        match policy_files(path) {
            Ok(found) => files.extend(found),
            Err(error) => loaded.unreadable.push(unreadable(path, &error)),
        }
    }
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.clone()));
    for file in files {
        match text(&file) {
            Ok(text) => loaded.readings.push(read(&file.display().to_string(), &text)),
            Err(error) => loaded.unreadable.push(unreadable(&file, &error)),
        }
    }
    loaded.clashes = clashes(&loaded.readings);
    loaded
}

fn policy_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let hidden = file.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let yaml = file.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        // A directory or a pipe of that name is no policy; a broken link is reported when it is read.
        if yaml && !hidden && fs::metadata(&file).map_or(true, |file| file.is_file()) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn text(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(LARGEST).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is far too large for a policy"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let read = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = read.split(|byte| *byte == b'\n').count();
        let reason = format!("line {line} is not UTF-8 text; save the file as UTF-8");
        io::Error::new(io::ErrorKind::InvalidData, reason)
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Unreadable {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    Unreadable { path: path.to_owned(), reason }
}

/// Names that several files give to their policies.
fn clashes(readings: &[Reading]) -> Vec<String> {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for reading in readings {
        if let Some(policy) = &reading.policy {
            files.entry(&policy.name).or_default().push(reading.findings.file());
        }
    }
    files
        .into_iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, files)| {
            format!("the policy name `{name}` is given by {}; rename all but one", files.join(" and "))
        })
        .collect()
}

#[cfg(test)]
mod tests;
