//! Every call is tried for real, in a process of its own: this program, told by a variable which one.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::*;

const VARIABLE: &str = "OTPGATE_TEST_PROVOKE";

/// What a process tries once it is confined, and its name.
type Deed<T> = (&'static str, fn(&Prepared) -> T);

const DEADLY_DEEDS: &[Deed<()>] = &[
    ("ptrace", |_| {
        let _ = nix::sys::ptrace::attach(Pid::parent());
    }),
    ("process_vm_readv", |_| {
        let _ = nix::sys::uio::process_vm_readv(Pid::parent(), &mut [], &[]);
    }),
    ("kill", |_| {
        let _ = kill(Pid::parent(), None);
    }),
    ("kill itself", |_| {
        let _ = kill(Pid::this(), Signal::SIGTERM);
    }),
    ("tgkill", |_| std::process::abort()),
    ("pidfd_open", |_| {
        let _ = rustix::process::pidfd_open(
            rustix::process::getpid(),
            rustix::process::PidfdFlags::empty(),
        );
    }),
    ("pidfd_send_signal", |prepared| {
        let _ = rustix::process::pidfd_send_signal(
            prepared.pidfd.as_fd(),
            rustix::process::Signal::TERM,
        );
    }),
    ("pidfd_getfd", |prepared| {
        let _ = rustix::process::pidfd_getfd(
            prepared.pidfd.as_fd(),
            0,
            rustix::process::PidfdGetfdFlags::empty(),
        );
    }),
    ("execve", |_| {
        let _ = nix::unistd::execv(c"/bin/true", &[c"true"]);
    }),
    ("a process", |_| {
        let _ = Command::new("/bin/true").status();
    }),
    ("a thread", |_| {
        let _ = std::thread::Builder::new().spawn(|| {});
    }),
    ("socket", |_| {
        let _ = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None);
    }),
    ("socketpair", |_| {
        let _ = std::os::unix::net::UnixStream::pair();
    }),
    ("connect", |prepared| {
        let address = SocketAddrUnix::new_abstract_name(b"otpgate-test").unwrap();
        let _ = rustix::net::connect(&prepared.socket, &address);
    }),
    ("bind", |prepared| {
        let address = SocketAddrUnix::new_abstract_name(b"otpgate-test").unwrap();
        let _ = rustix::net::bind(&prepared.socket, &address);
    }),
    ("listen", |prepared| {
        let _ = rustix::net::listen(&prepared.socket, 1);
    }),
    ("accept", |prepared| {
        let _ = rustix::net::accept(&prepared.socket);
    }),
    ("open", |_| {
        let _ = File::open("/dev/null");
    }),
    ("openat2", |_| {
        let _ = rustix::fs::openat2(
            rustix::fs::CWD,
            "/",
            rustix::fs::OFlags::RDONLY,
            rustix::fs::Mode::empty(),
            rustix::fs::ResolveFlags::empty(),
        );
    }),
    ("unlink", |_| {
        let _ = std::fs::remove_file("/nowhere");
    }),
    ("memfd_create", |_| {
        let _ = rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::CLOEXEC);
    }),
    ("chroot", |_| {
        let _ = rustix::process::chroot("/");
    }),
    ("pivot_root", |_| {
        let _ = rustix::process::pivot_root("/", "/");
    }),
    ("mount", |_| {
        let none = None::<&str>;
        let _ = nix::mount::mount(none, "/", none, nix::mount::MsFlags::empty(), none);
    }),
    ("umount", |_| {
        let _ = nix::mount::umount("/nowhere");
    }),
    ("unshare", |_| {
        let _ = nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS);
    }),
    ("setns", |prepared| {
        let _ = nix::sched::setns(&prepared.pidfd, nix::sched::CloneFlags::empty());
    }),
    ("personality", |_| {
        let _ = nix::sys::personality::get();
    }),
    ("delete_module", |_| {
        let _ = nix::kmod::delete_module(c"nothing", nix::kmod::DeleteModuleFlags::empty());
    }),
    ("setuid", |_| {
        let _ = nix::unistd::setuid(nix::unistd::Uid::from_raw(65534));
    }),
    ("setgid", |_| {
        let _ = nix::unistd::setgid(nix::unistd::Gid::from_raw(65534));
    }),
    ("setresuid", |_| {
        let nobody = nix::unistd::Uid::from_raw(65534);
        let _ = nix::unistd::setresuid(nobody, nobody, nobody);
    }),
    ("setgroups", |_| {
        let _ = nix::unistd::setgroups(&[]);
    }),
];

/// What must not kill, and must not succeed either.
const VAIN_DEEDS: &[Deed<bool>] = &[
    ("dumpable again", |_| {
        let dumpable = rustix::process::DumpableBehavior::Dumpable;
        rustix::process::set_dumpable_behavior(dumpable).is_err()
    }),
    ("any other fcntl, as that which sends signals", |prepared| {
        use nix::fcntl::{FcntlArg, fcntl};
        fcntl(&prepared.socket, FcntlArg::F_GET_SEALS) == Err(nix::errno::Errno::ENOSYS)
    }),
    (
        "any other ioctl, as that which types into a terminal",
        |prepared| {
            rustix::termios::tcgetattr(&prepared.socket).err() == Some(rustix::io::Errno::NOSYS)
        },
    ),
    ("stat by name", |_| std::fs::metadata("/").is_err()),
    ("another limit", |_| {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let limit = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        setrlimit(Resource::Core, limit).is_err()
    }),
];

/// What must go on working.
const DEEDS: &[Deed<bool>] = &[
    ("memory", |_| {
        vec![1_u8; 10_000_000].iter().all(|byte| *byte == 1)
    }),
    ("time", |_| {
        std::time::Instant::now().elapsed().as_secs() == 0
    }),
    ("chance", |_| {
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).is_ok()
    }),
    ("tokio", |_| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.is_ok_and(|runtime| {
            runtime.block_on(async {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                true
            })
        })
    }),
    ("pipes that do not block", |prepared| {
        rustix::io::ioctl_fionbio(&prepared.socket, true).is_ok()
    }),
];

/// Descriptors that a confined process could not get.
struct Prepared {
    pidfd: std::os::fd::OwnedFd,
    socket: std::os::fd::OwnedFd,
}

impl Prepared {
    fn new() -> Self {
        let none = rustix::process::PidfdFlags::empty();
        Self {
            pidfd: rustix::process::pidfd_open(rustix::process::getpid(), none).unwrap(),
            socket: rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap(),
        }
    }
}

fn provoke(deed: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "network::confine::filter::tests::the_confined_process",
        ])
        .env(VARIABLE, deed)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
}

/// Nothing, unless one of the tests below started this program for it.
#[test]
fn the_confined_process() {
    let Ok(wanted) = std::env::var(VARIABLE) else {
        return;
    };
    let prepared = Prepared::new();
    apply().unwrap();
    for (deed, act) in DEADLY_DEEDS {
        if *deed == wanted {
            act(&prepared);
        }
    }
    for (deed, act) in VAIN_DEEDS.iter().chain(DEEDS) {
        if *deed == wanted && act(&prepared) {
            std::process::exit(42);
        }
    }
    std::process::exit(43);
}

#[test]
fn whatever_reaches_beyond_the_process_kills_it() {
    for (deed, _) in DEADLY_DEEDS {
        let status = provoke(deed);
        assert_eq!(status.signal(), Some(libc::SIGSYS), "{deed}: {status}");
    }
}

#[test]
fn what_is_not_needed_fails() {
    for (deed, _) in VAIN_DEEDS {
        assert_eq!(provoke(deed).code(), Some(42), "{deed}");
    }
}

#[test]
fn what_is_needed_works() {
    for (deed, _) in DEEDS {
        assert_eq!(provoke(deed).code(), Some(42), "{deed}");
    }
}

#[test]
fn no_call_is_both_deadly_and_needed() {
    let needed = needed().unwrap();
    for call in deadly().keys() {
        assert!(!needed.contains_key(call), "{call}");
    }
}
