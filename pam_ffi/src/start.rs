//! Starting a program from inside somebody else's process, which must not notice.
//!
//! The host may have threads, handlers, children of its own, and a SIGCHLD that it counts on. So neither
//! `fork` (which runs the host's `pthread_atfork` handlers) nor `posix_spawn` (whose child is the host's to
//! wait for) will do. What happens here instead:
//!
//! ```text
//! host ── clone without exit signal ──> go-between ── clone ──> program, with a session of its own
//!   waits for the go-between (__WALL)      ends at once           belongs to init; killed by its alarm
//! ```
//!
//! No signal reaches the host, and what it does with SIGCHLD does not matter: children without an exit signal
//! are neither reaped by the kernel nor seen by an ordinary `wait`. (A host that has made itself a subreaper
//! inherits the program when it ends, as it wished to.) Between clone and exec there are only
//! system calls, on memory that was made before: another thread may have held the allocator's lock.

use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::ptr;

use libc::syscall;

/// Longest input, in bytes: what a pipe holds whatever its size is.
pub const LONGEST_INPUT: usize = 4096;
/// How long a program may take to begin, in milliseconds; only a machine in distress needs more than one.
const BEGIN: c_int = 5_000;
/// Descriptors that are closed one by one where the kernel cannot close all (before 5.9).
const MOST_DESCRIPTORS: RawFd = 1 << 16;
/// Where the child keeps the end of the pipe that tells how it went.
const REPORT: RawFd = 3;
/// The first descriptor that is none of those.
const FIRST: RawFd = 16;
/// Lower than anybody who waits for a prompt.
const NICENESS: c_int = 10;

/// A program to be started. Not for printing: its input may hold a code.
pub struct Program<'a> {
    /// Where it is: an absolute path.
    pub path: &'a Path,
    /// Its arguments, without its name. Everybody can read these.
    pub arguments: &'a [&'a str],
    /// What it finds on standard input, at most [`LONGEST_INPUT`] bytes.
    pub input: &'a [u8],
    /// After so many seconds it is killed.
    pub deadline: u32,
}

/// Starts it, and waits only until it has begun: with a clean environment, standard input as given, output
/// to nowhere, no other descriptor, default signals, the effective user for good, and `/` as its directory.
///
/// # Errors
/// `InvalidInput` when the input is too long; what [`check`] finds; `TimedOut`; what the kernel said.
pub fn start(program: &Program<'_>) -> io::Result<()> {
    if program.input.len() > LONGEST_INPUT {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    check(program.path)?;
    let image = Image::new(program)?;
    let input = full_pipe(program.input)?;
    let nowhere = File::options().write(true).open("/dev/null")?;
    let (mut report, end) = pipe()?;
    let child = Child {
        image: &image,
        input: input.as_raw_fd(),
        nowhere: nowhere.as_raw_fd(),
        report: end.as_raw_fd(),
        deadline: program.deadline.into(),
    };
    let blocked = Blocked::all();
    let went_between = go_between(&child);
    drop(blocked);
    went_between?;
    drop(end);
    began(&mut report)
}

/// Whether root may execute this program: a file of root's (or the caller's), at an absolute path, that nobody
/// else may write.
///
/// # Errors
/// `InvalidInput` when the path is relative; `PermissionDenied` when it is not to be trusted, or not executable;
/// what the kernel said.
pub fn check(path: &Path) -> io::Result<()> {
    if !path.is_absolute() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let found = std::fs::metadata(path)?;
    // SAFETY: always succeeds and touches no memory.
    let caller = unsafe { libc::geteuid() };
    let trusted = found.is_file()
        && (found.uid() == 0 || found.uid() == caller)
        && found.mode() & 0o022 == 0
        && found.mode() & 0o111 != 0;
    if trusted {
        return Ok(());
    }
    let why = "not a program of root's that nobody else may write";
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// What exec needs, made before there is a child.
struct Image {
    path: CString,
    /// Kept for the pointers into them.
    _arguments: Vec<CString>,
    _environment: CString,
    argv: Vec<*const c_char>,
    envp: [*const c_char; 2],
}

impl Image {
    fn new(program: &Program<'_>) -> io::Result<Self> {
        let path = CString::new(program.path.as_os_str().as_bytes())?;
        let mut arguments = vec![path.clone()];
        for argument in program.arguments {
            arguments.push(CString::new(*argument)?);
        }
        let environment = CString::new("PATH=/usr/sbin:/usr/bin:/sbin:/bin")?;
        let pointers = arguments.iter().map(|argument| argument.as_ptr());
        let argv = pointers.chain([ptr::null()]).collect();
        let envp = [environment.as_ptr(), ptr::null()];
        Ok(Self {
            path,
            _arguments: arguments,
            _environment: environment,
            argv,
            envp,
        })
    }
}

/// A pipe with the input in it and nobody at its other end: the child finds all of it, and then the end.
fn full_pipe(input: &[u8]) -> io::Result<File> {
    let (reader, mut writer) = pipe()?;
    writer.write_all(input)?;
    Ok(reader)
}

fn pipe() -> io::Result<(File, File)> {
    let mut ends: [RawFd; 2] = [-1; 2];
    // SAFETY: the kernel writes two descriptors into the array.
    let answer = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    let [reader, writer] = ends;
    // SAFETY: new, open and nobody else's.
    let reader = unsafe { File::from_raw_fd(reader) };
    // SAFETY: as above.
    let writer = unsafe { File::from_raw_fd(writer) };
    Ok((reader, writer))
}

/// The kernel's signal set: 64 bits on every architecture with 64 signals.
type SignalSet = u64;

/// All signals of this thread held back: a handler of the host's must not run in the child.
struct Blocked(SignalSet);

impl Blocked {
    fn all() -> Self {
        let mut before: SignalSet = 0;
        set_mask(&SignalSet::MAX, &raw mut before);
        Self(before)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set_mask(&self.0, ptr::null_mut());
    }
}

/// With the raw call: the C library's leaves out two signals of its own.
fn set_mask(mask: &SignalSet, before: *mut SignalSet) {
    let size = size_of::<SignalSet>();
    // SAFETY: both sets have the size that is given; a null pointer asks for nothing.
    unsafe {
        syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            ptr::from_ref(mask),
            before,
            size,
        )
    };
}

/// What the child works with. Nothing of it is on the heap of a process that goes on.
struct Child<'a> {
    image: &'a Image,
    input: RawFd,
    nowhere: RawFd,
    report: RawFd,
    deadline: c_long,
}

/// Makes the go-between, and waits until it has ended.
fn go_between(child: &Child<'_>) -> io::Result<()> {
    match clone() {
        0 => match clone() {
            0 => child.become_program(),
            made => exit(c_int::from(made < 0)),
        },
        made if made < 0 => Err(io::Error::last_os_error()),
        made => wait_for(made),
    }
}

/// A copy of this process that sends no signal when it ends.
fn clone() -> c_long {
    // SAFETY: without flags and without a stack this is a fork with no exit signal: the child has a copy of
    // all memory, and goes on here. All arguments are 0, so their order, which differs between
    // architectures, does not matter.
    unsafe { syscall(libc::SYS_clone, 0, 0, 0, 0, 0) }
}

fn exit(status: c_int) -> ! {
    loop {
        // SAFETY: ends this process without running anything of the host's.
        unsafe { syscall(libc::SYS_exit_group, status) };
    }
}

fn wait_for(child: c_long) -> io::Result<()> {
    let mut status: c_int = 0;
    loop {
        let options = libc::__WALL;
        // SAFETY: the kernel writes one number.
        let answer = unsafe {
            syscall(
                libc::SYS_wait4,
                child,
                &raw mut status,
                options,
                ptr::null_mut::<c_void>(),
            )
        };
        if answer >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    if status == 0 {
        return Ok(());
    }
    Err(io::Error::other("the system makes no more processes"))
}

impl Child<'_> {
    /// From a copy of the host to the program. Only system calls.
    fn become_program(&self) -> ! {
        let (error, report) = match self.arrange_descriptors() {
            Err(error) => (error, self.report),
            Ok(()) => (
                self.prepare().err().unwrap_or_else(|| self.execute()),
                REPORT,
            ),
        };
        let bytes = error.to_ne_bytes();
        // SAFETY: writes from an array of that length.
        unsafe { syscall(libc::SYS_write, report, bytes.as_ptr(), bytes.len()) };
        exit(127)
    }

    fn prepare(&self) -> Result<(), c_int> {
        // SAFETY: takes no arguments.
        check_call(unsafe { syscall(libc::SYS_setsid) })?;
        become_one_user()?;
        let root = c"/";
        // SAFETY: a C string.
        check_call(unsafe { syscall(libc::SYS_chdir, root.as_ptr()) })?;
        // SAFETY: takes a number.
        unsafe { syscall(libc::SYS_umask, 0o077) };
        // SAFETY: takes numbers. Not to be nicer is no reason not to run.
        unsafe { syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, NICENESS) };
        forbid_core_dumps()?;
        restore_signals();
        self.set_alarm()
    }

    /// 0, 1, 2, and the report, which closes itself when the program begins.
    fn arrange_descriptors(&self) -> Result<(), c_int> {
        // Out of the way of what is put into the first three places: the host may have none of these open.
        let [input, nowhere, report] = [self.input, self.nowhere, self.report].map(|fd| {
            // SAFETY: takes numbers.
            unsafe { syscall(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, FIRST) }
        });
        for moved in [input, nowhere, report] {
            check_call(moved)?;
        }
        for (from, to) in [(input, 0), (nowhere, 1), (nowhere, 2), (report, REPORT)] {
            let flags = if to == REPORT { libc::O_CLOEXEC } else { 0 };
            // SAFETY: takes numbers.
            check_call(unsafe { syscall(libc::SYS_dup3, from, to, flags) })?;
        }
        close_from(REPORT + 1);
        Ok(())
    }

    /// A timer outlives exec, and the action of its signal is the default one by now: whatever the program
    /// waits for, it ends.
    fn set_alarm(&self) -> Result<(), c_int> {
        // Interval and value, in seconds and microseconds each.
        let alarm: [c_long; 4] = [0, 0, self.deadline, 0];
        let none = ptr::null_mut::<c_void>();
        // SAFETY: the kernel reads an itimerval, which is four longs.
        check_call(unsafe { syscall(libc::SYS_setitimer, libc::ITIMER_REAL, alarm.as_ptr(), none) })
    }

    /// Returns only when the program does not begin.
    fn execute(&self) -> c_int {
        set_mask(&0, ptr::null_mut());
        let Image {
            path, argv, envp, ..
        } = self.image;
        // SAFETY: a C string, and two lists of C strings with a null pointer at their ends.
        let answer = unsafe {
            syscall(
                libc::SYS_execve,
                path.as_ptr(),
                argv.as_ptr(),
                envp.as_ptr(),
            )
        };
        check_call(answer).err().unwrap_or_default()
    }
}

fn check_call(answer: c_long) -> Result<(), c_int> {
    if answer >= 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or_default())
}

/// `su` keeps its caller's real user, who could otherwise stop or kill the program.
fn become_one_user() -> Result<(), c_int> {
    // SAFETY: always succeeds and touches no memory.
    let (user, group) = (unsafe { libc::geteuid() }, unsafe { libc::getegid() });
    if user == 0 {
        let nobody = ptr::null::<libc::gid_t>();
        // SAFETY: a list of no groups.
        check_call(unsafe { syscall(SETGROUPS, 0, nobody) })?;
    }
    // SAFETY: takes numbers.
    check_call(unsafe { syscall(SETRESGID, group, group, group) })?;
    // SAFETY: takes numbers.
    check_call(unsafe { syscall(SETRESUID, user, user, user) })
}

// The plain numbers are for 16-bit ids on these.
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::{SYS_setgroups as SETGROUPS, SYS_setresgid as SETRESGID, SYS_setresuid as SETRESUID};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::{
    SYS_setgroups32 as SETGROUPS, SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID,
};

fn forbid_core_dumps() -> Result<(), c_int> {
    let none = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let nothing = ptr::null_mut::<c_void>();
    // SAFETY: the kernel reads one structure of 64-bit numbers.
    check_call(unsafe {
        syscall(
            libc::SYS_prlimit64,
            0,
            libc::RLIMIT_CORE,
            &raw const none,
            nothing,
        )
    })
}

fn close_from(first: RawFd) {
    // SAFETY: takes numbers; this process's descriptors are a copy.
    let answer = unsafe { syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if answer == 0 {
        return;
    }
    for fd in first..MOST_DESCRIPTORS {
        // SAFETY: takes a number.
        unsafe { syscall(libc::SYS_close, fd) };
    }
}

/// Ignored signals stay ignored over exec.
fn restore_signals() {
    // The kernel's structure is at most this long, and all zeros is the default action.
    let default = [0_u64; 8];
    let nothing = ptr::null_mut::<c_void>();
    for signal in 1..=64 {
        let size = size_of::<SignalSet>();
        // SAFETY: the kernel reads a structure of zeros. SIGKILL and SIGSTOP refuse.
        unsafe {
            syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                nothing,
                size,
            )
        };
    }
}

/// Waits for the end of the report: the program has begun, or the error stands in it.
fn began(report: &mut File) -> io::Result<()> {
    let mut wait = libc::pollfd {
        fd: report.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one structure.
    let ready = unsafe { libc::poll(&raw mut wait, 1, BEGIN) };
    if ready == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut bytes = [0; 4];
    match report.read(&mut bytes) {
        Ok(0) => Ok(()),
        Ok(_) => Err(io::Error::from_raw_os_error(c_int::from_ne_bytes(bytes))),
        Err(error) => Err(error),
    }
}
