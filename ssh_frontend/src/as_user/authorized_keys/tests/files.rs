use super::*;

struct Home {
    directory: TempDir,
    account: Account,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let meta = fs::metadata(directory.path()).unwrap();
        let account = Account {
            name: "somebody".to_owned(),
            uid: meta.uid(),
            gid: meta.gid(),
            home: directory.path().to_owned(),
            shell: "/bin/sh".into(),
        };
        let home = Self { directory, account };
        fs::create_dir(home.path(".ssh")).unwrap();
        home.mode(".ssh", 0o700);
        home
    }

    /// With the key in the usual place.
    fn with_key() -> Self {
        let home = Self::new();
        home.write(".ssh/authorized_keys", text_of(KEY).as_bytes());
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &[u8]) {
        fs::write(self.path(name), text).unwrap();
        self.mode(name, 0o600);
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn find(&self) -> KeyVerdict {
        self.find_in(Path::new(".ssh/authorized_keys"))
    }

    fn find_in(&self, file: &Path) -> KeyVerdict {
        super::find(&self.account, file, &key(), HERE)
    }

    fn refusal(&self) -> String {
        match self.find() {
            KeyVerdict::Refused(why) => why,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_file_is_found_below_the_home_and_by_an_absolute_path() {
    let home = Home::with_key();
    assert_eq!(home.find(), found());
    let absolute = home.path(".ssh/authorized_keys");
    assert_eq!(home.find_in(&absolute), found());
}

#[test]
fn a_home_a_directory_or_a_file_that_is_missing_holds_no_key() {
    let mut home = Home::new();
    assert_eq!(home.find(), KeyVerdict::NotFound);
    fs::remove_dir(home.path(".ssh")).unwrap();
    assert_eq!(home.find(), KeyVerdict::NotFound);
    for nowhere in ["/nonexistent", "/dev/null"] {
        home.account.home = nowhere.into();
        assert_eq!(home.find(), KeyVerdict::NotFound, "{nowhere}");
    }
    home.account.home = "".into();
    assert!(home.refusal().contains("not absolute"));
}

#[test]
fn whatever_others_may_write_to_is_not_trusted() {
    for (name, kept) in [
        ("", 0o700),
        (".ssh", 0o700),
        (".ssh/authorized_keys", 0o600),
    ] {
        for more in [0o020, 0o002, 0o1002] {
            let home = Home::with_key();
            home.mode(name, kept | more);
            let why = home.refusal();
            assert!(why.contains("chmod go-w"), "{name} {more:o}: {why}");
            home.mode(name, kept | 0o055);
            assert_eq!(home.find(), found(), "{name} after mending");
        }
    }
}

#[test]
fn a_file_of_another_user_is_not_trusted() {
    let mut home = Home::with_key();
    let owner = home.account.uid;
    home.account.uid = 12_345;
    if owner == 0 {
        assert_eq!(home.find(), found(), "root's file serves everybody");
        let file = home.path(".ssh/authorized_keys");
        std::os::unix::fs::chown(file, Some(23_456), None).unwrap();
    }
    assert!(home.refusal().contains("belongs to uid"));
}

#[test]
fn a_directory_of_another_user_is_not_trusted() {
    let mut home = Home::with_key();
    if home.account.uid == 0 {
        std::os::unix::fs::chown(home.path(".ssh"), Some(23_456), None).unwrap();
    } else {
        home.account.uid = 12_345;
    }
    assert!(home.refusal().contains("belongs to uid"));
}

#[test]
fn a_fifo_is_refused_and_not_waited_for() {
    let home = Home::new();
    let fifo = home.path(".ssh/authorized_keys");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let began = Instant::now();
    assert!(home.refusal().contains("not a regular file"));
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn directories_devices_and_sockets_are_refused() {
    let home = Home::new();
    let place = home.path(".ssh/authorized_keys");
    fs::create_dir(&place).unwrap();
    assert!(home.refusal().contains("not a regular file"));
    fs::remove_dir(&place).unwrap();
    for device in ["/dev/zero", "/dev/tty"] {
        symlink(device, &place).unwrap();
        home.refusal();
        fs::remove_file(&place).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(&place).unwrap();
    home.refusal();
}

#[test]
fn links_are_followed_to_a_place_that_is_trusted_itself() {
    let home = Home::with_key();
    fs::rename(home.path(".ssh"), home.path("dotfiles")).unwrap();
    symlink("dotfiles", home.path(".ssh")).unwrap();
    assert_eq!(home.find(), found());
    home.mode("dotfiles", 0o777);
    assert!(home.refusal().contains("dotfiles"));
}

#[test]
fn outside_of_the_home_every_directory_up_to_the_root_counts() {
    let (home, elsewhere) = (Home::new(), Home::with_key());
    let place = elsewhere.path(".ssh/authorized_keys");
    symlink(&place, home.path(".ssh/authorized_keys")).unwrap();
    // The directory of temporary files is everybody's.
    let everybodys = fs::canonicalize(std::env::temp_dir()).unwrap();
    if fs::metadata(&everybodys).unwrap().mode() & 0o022 != 0 {
        let why = home.refusal();
        assert!(why.starts_with(everybodys.to_str().unwrap()), "{why}");
    }
}

#[test]
fn links_that_go_round_and_links_to_nowhere_are_no_key() {
    let home = Home::new();
    let place = home.path(".ssh/authorized_keys");
    symlink("authorized_keys", &place).unwrap();
    home.refusal();
    fs::remove_file(&place).unwrap();
    symlink("nowhere", &place).unwrap();
    assert_eq!(home.find(), KeyVerdict::NotFound);
}

#[test]
fn a_file_is_read_up_to_its_limit_and_refused_beyond() {
    let home = Home::new();
    let mut text = text_of(KEY).into_bytes();
    text.resize(1 << 20, b'\n');
    home.write(".ssh/authorized_keys", &text);
    assert_eq!(home.find(), found());
    text.push(b'\n');
    home.write(".ssh/authorized_keys", &text);
    assert!(home.refusal().contains("larger than"));
}
