//! All the service files of a host, and the stack that libpam builds from one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::files::{self, Unreadable};
use super::finding::Finding;
use super::pamd::{self, Directive, Kind, Line, Module};

/// libpam's own limit (`PAM_INCLUDE` nesting), beyond which it refuses.
const MAX_DEPTH: usize = 32;
/// Files that include each other twice grow without bound long before they are 32 deep.
const MAX_LOADS: usize = 400;
/// A person's stack has a dozen lines.
const MAX_STEPS: usize = 512;

/// One place in a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// 0 in the service itself, one more within each substack.
    pub level: usize,
    /// The file it stands in.
    pub file: PathBuf,
    /// Its line there.
    pub line: usize,
    /// The line of the service file itself that brought it in.
    pub top_line: usize,
    /// What stands there.
    pub what: What,
}

/// What a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A module to ask.
    Module(Module),
    /// The line that opens a substack: nothing to ask, but a jump counts it.
    Substack,
    /// A line that libpam could not read: it refuses here.
    MustFail,
}

impl Step {
    /// The module of this step.
    #[must_use]
    pub fn module(&self) -> Option<&Module> {
        match &self.what {
            What::Module(module) => Some(module),
            What::Substack | What::MustFail => None,
        }
    }

    /// `file:line`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }
}

/// A stack as libpam runs it, and what was wrong while reading it.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// The steps in order.
    pub steps: Vec<Step>,
    /// Lines and files that libpam cannot read.
    pub findings: Vec<Finding>,
}

/// The directories libpam searches, in its order, and perhaps one file that is not written yet.
#[derive(Debug, Clone)]
pub struct Library {
    directories: Vec<PathBuf>,
    planned: Option<(PathBuf, Vec<u8>)>,
}

impl Library {
    /// The files below these directories; the first directory that has a name wins.
    #[must_use]
    pub fn new(directories: &[PathBuf]) -> Self {
        Self {
            directories: directories.to_vec(),
            planned: None,
        }
    }

    /// The same, as if this file had this content.
    #[must_use]
    pub fn with_planned(&self, path: &Path, bytes: &[u8]) -> Self {
        Self {
            directories: self.directories.clone(),
            planned: Some((path.to_owned(), bytes.to_vec())),
        }
    }

    /// The directory that administrators write into, for findings about all of it.
    #[must_use]
    pub fn place(&self) -> String {
        let first = self.directories.first();
        first
            .map(|directory| directory.display().to_string())
            .unwrap_or_default()
    }

    /// Whether any of the directories exists; if none does, libpam reads `/etc/pam.conf`.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.directories.iter().any(|directory| directory.is_dir())
    }

    /// The file libpam opens for a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        if name.starts_with('/') {
            return Some(PathBuf::from(name));
        }
        self.directories
            .iter()
            .map(|directory| directory.join(name))
            .find(|path| self.is_planned(path) || fs::symlink_metadata(path).is_ok())
    }

    /// The names of all service files, package managers' leftovers aside.
    #[must_use]
    pub fn services(&self) -> BTreeSet<String> {
        self.directories
            .iter()
            .filter_map(|directory| fs::read_dir(directory).ok())
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| is_service_name(name))
            .collect()
    }

    /// The stack of one kind that libpam builds for a service.
    #[must_use]
    pub fn stack(&self, service: &str, kind: Kind) -> Stack {
        let mut builder = Builder {
            library: self,
            kind,
            open: Vec::new(),
            loads: 0,
            stack: Stack::default(),
        };
        builder.file(service, At::default());
        builder.stack
    }

    /// For each file that others include: who they are. Read from each file's own lines only.
    #[must_use]
    pub fn includers(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut includers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for service in self.services() {
            for line in self.lines_of(&service) {
                if let Directive::IncludeAll(name)
                | Directive::Include(_, name)
                | Directive::Substack(_, name) = line.directive
                {
                    includers.entry(name).or_default().insert(service.clone());
                }
            }
        }
        includers
    }

    fn lines_of(&self, service: &str) -> Vec<Line> {
        self.find(service)
            .and_then(|path| self.text(&path).ok())
            .map(|text| pamd::parse(&text))
            .unwrap_or_default()
    }

    fn is_planned(&self, path: &Path) -> bool {
        self.planned
            .as_ref()
            .is_some_and(|(planned, _)| planned == path)
    }

    /// Comments may be in any encoding, so bytes that are no UTF-8 are replaced, not refused.
    fn text(&self, path: &Path) -> Result<String, Unreadable> {
        let bytes = match &self.planned {
            Some((planned, bytes)) if planned == path => bytes.clone(),
            _ => files::read(path)?.bytes,
        };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Whether a file of this name is meant as a service.
fn is_service_name(name: &str) -> bool {
    const LEFTOVERS: [&str; 9] = [
        "~",
        ".dpkg-old",
        ".dpkg-new",
        ".dpkg-dist",
        ".dpkg-bak",
        ".rpmnew",
        ".rpmsave",
        ".rpmorig",
        ".bak",
    ];
    !name.starts_with('.') && !LEFTOVERS.iter().any(|ending| name.ends_with(ending))
}

/// Where the next lines go.
#[derive(Clone, Default)]
struct At {
    level: usize,
    /// The line that asked for the file.
    from: Option<(PathBuf, usize)>,
    /// The line of the service file itself.
    top_line: Option<usize>,
}

impl At {
    fn place(&self, otherwise: &str) -> String {
        match &self.from {
            Some((file, line)) => format!("{}:{line}", file.display()),
            None => otherwise.to_owned(),
        }
    }
}

struct Builder<'a> {
    library: &'a Library,
    kind: Kind,
    open: Vec<PathBuf>,
    loads: usize,
    stack: Stack,
}

impl Builder<'_> {
    fn file(&mut self, name: &str, at: At) {
        let Some(path) = self.library.find(name) else {
            let meaning = format!("{name} does not exist: libpam refuses every login here");
            return self.refuse("pam-include-missing", &at, name, meaning);
        };
        self.loads += 1;
        if self.open.contains(&path) || self.open.len() >= MAX_DEPTH || self.loads > MAX_LOADS {
            let meaning = format!(
                "{name} is included in a circle, or too often: libpam gives up and refuses"
            );
            return self.refuse("pam-include-loop", &at, name, meaning);
        }
        match self.library.text(&path) {
            Err(why) => {
                let meaning = format!("{} cannot be read: {why}", path.display());
                self.refuse("pam-unreadable", &at, name, meaning);
            }
            Ok(text) => {
                self.open.push(path.clone());
                for line in pamd::parse(&text) {
                    self.line(&path, line, &at);
                }
                self.open.pop();
            }
        }
    }

    fn line(&mut self, path: &Path, line: Line, at: &At) {
        let inner = At {
            level: at.level,
            from: Some((path.to_owned(), line.first)),
            top_line: Some(at.top_line.unwrap_or(line.first)),
        };
        match line.directive {
            Directive::IncludeAll(name) => self.file(&name, inner),
            Directive::Include(kind, name) if kind == self.kind => self.file(&name, inner),
            Directive::Substack(kind, name) if kind == self.kind => {
                self.push(What::Substack, &inner);
                let level = at.level + 1;
                self.file(&name, At { level, ..inner });
            }
            Directive::Module(module) if module.kind == self.kind => {
                self.push(What::Module(module), &inner);
            }
            Directive::Broken(kind, why) if kind.unwrap_or(Kind::Auth) == self.kind => {
                let meaning = format!("libpam cannot read this line ({why}) and refuses here");
                self.refuse("pam-line-broken", &inner, "", meaning);
            }
            _ => {}
        }
    }

    /// A step at which libpam refuses, and the finding that says so.
    fn refuse(&mut self, code: &'static str, at: &At, name: &str, meaning: String) {
        let place = at.place(name);
        let cure = match &at.from {
            Some((file, line)) => format!("sudoedit +{line} {}", file.display()),
            None => format!("ls -l /etc/pam.d/{name}"),
        };
        self.stack
            .findings
            .push(Finding::error(code, place, meaning, cure));
        self.push(What::MustFail, at);
    }

    fn push(&mut self, what: What, at: &At) {
        if self.stack.steps.len() == MAX_STEPS {
            let meaning = format!("more than {MAX_STEPS} lines: not judged any further");
            self.stack.findings.push(Finding::error(
                "pam-too-long",
                at.place(""),
                meaning,
                "shorten the file",
            ));
        }
        if self.stack.steps.len() > MAX_STEPS {
            return;
        }
        let (file, line) = at.from.clone().unwrap_or_default();
        self.stack.steps.push(Step {
            level: at.level,
            file,
            line,
            top_line: at.top_line.unwrap_or(line),
            what,
        });
    }
}
