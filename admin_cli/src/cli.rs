//! What can be typed. Help texts, completions and man pages are made from here.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use otp_core::config::{DEFAULT_PATH, parse_duration_to};
use otp_core::hotp::Algorithm;
use otp_core::invite::LONGEST_LIFETIME;

use crate::qr::Target;

/// One-time passwords for SSH: enrol people, check this host, repair and unlock.
///
/// Exit status: 0 done, 1 "no" (a code that would be refused, a check with warnings), 2 error.
#[derive(Debug, Parser)]
#[command(
    name = "otpgate",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the state directory.
    Init,
    /// Enrol a user, or one more device of theirs.
    Enroll(Enroll),
    /// Send a user a code, or try a channel.
    ///
    /// What the module starts when a login wants a code that is sent. Exit status: 0 when the channel took it, 1
    /// when nothing was sent.
    Deliver(Deliver),
    /// Take over what people have on their phones already, from other modules and apps.
    ///
    /// The source is only read. What is used up there stays used up here. Exit status: 0, or 1 when somebody
    /// or something was left out; the report says who and why.
    #[command(subcommand)]
    Import(Import),
    /// Print the keys of a user as key URIs: whoever reads them can make codes.
    Export(User),
    /// Put the module into a PAM service, or take it out again.
    ///
    /// For sshd it also writes a drop-in with the settings that sshd needs, and tests both before they
    /// count. People who are not enrolled still get in, until it is run again with --require.
    Setup(Setup),
    /// List the enrolled users.
    ///
    /// With --json, one object a line. Exit status: 0, or 1 when the files of a user are damaged.
    List(List),
    /// Show one user: devices, last login, failures since, recovery codes left; of somebody who logs in by a
    /// file of their own, logins and failures.
    Show(User),
    /// Compute a code from a secret, as oathtool does.
    Code(Code),
    /// Say what a code would be answered, without using it up.
    Verify(Verify),
    /// Invite a user to enrol at their next login: prints a ticket that is typed where a code is asked for.
    ///
    /// It works once, where the lines in pam.d have `enrol` (`otpgate setup sshd --enrol`), and a few times
    /// if the dialogue breaks off. A second invite replaces the first.
    Invite(Invite),
    /// Give a user new recovery codes; the old ones stop working.
    Recovery(User),
    /// Walk through a service's PAM stack on this terminal, and explain how it ends.
    TestLogin(TestLogin),
    /// Refuse a user, or one of their devices, until `otpgate enable`.
    Disable(UserDevice),
    /// Undo `otpgate disable`.
    Enable(UserDevice),
    /// Remove a user, or one of their devices.
    Remove(Remove),
    /// Forget a user's failures, so that the next code counts again; also those at a file of their own.
    Unlock(User),
    /// Set a device's counter or clock skew from two codes in a row.
    Resync(UserDevice),
    /// Repair a user's state file without reopening used codes.
    Repair(User),
    /// Encrypt the secrets on the disk, with a key that is kept elsewhere.
    ///
    /// Then a stolen backup of the state directory gives no secret away. It helps neither against root on
    /// this host nor when the key is in the same backup. Every command may be cut short: logins go on, and
    /// the same command once more does the rest.
    #[command(subcommand)]
    Seal(Seal),
    /// Find what locks people out, or lets them round the code.
    ///
    /// Looks at the state, the clock, the pam.d files and what sshd really runs with. Exit status: 0
    /// clean, 1 warnings, 2 errors.
    Check(Check),
    /// Answer ssh's questions for a script: SSH_ASKPASS=/usr/bin/otpgate-askpass.
    ///
    /// ssh starts it with a question. `Password:` and `Verification code:` of the logins in
    /// ~/.config/otpgate/askpass.toml (or the file that OTPGATE_ASKPASS names) are answered, once per
    /// connection; everything else is refused. Exit status: 0, or 1 and nothing printed.
    Askpass(Askpass),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages.
    Man {
        /// Where to; the main page goes to standard output without it.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// A user.
#[derive(Debug, Args)]
pub struct User {
    /// The user name.
    pub user: String,
}

/// A user, or one device of theirs.
#[derive(Debug, Args)]
pub struct UserDevice {
    /// The user name.
    pub user: String,
    /// The device; see `otpgate show USER`.
    #[arg(long, value_name = "ID")]
    pub device: Option<String>,
}

/// `otpgate list`.
#[derive(Debug, Args)]
pub struct List {
    /// At most so many users.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Begin behind this user, where the last page ended.
    #[arg(long, value_name = "USER")]
    pub after: Option<String>,
}

/// `otpgate invite`.
#[derive(Debug, Args)]
pub struct Invite {
    /// The user name.
    pub user: String,
    /// How long it is valid: up to 30 days, such as 2h or 3d.
    #[arg(long, value_name = "DURATION", default_value = "3d", value_parser = lifetime)]
    pub expires: u64,
}

fn lifetime(text: &str) -> Result<u64, String> {
    parse_duration_to(text, LONGEST_LIFETIME)
        .ok_or_else(|| "takes a duration from 1s to 30d, such as 2h or 3d".to_owned())
}

/// `otpgate import`.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// From the files of google-authenticator: secret, counter, used codes, skew, scratch codes.
    Google(ImportGoogle),
    /// From the users file of pam_oath; a million lines in one run.
    Oath(ImportOath),
    /// From key URIs (otpauth://...), one a line; other lines are skipped.
    Otpauth(ImportOtpauth),
}

/// `otpgate import google`.
#[derive(Debug, Args)]
pub struct ImportGoogle {
    /// The user name.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub user: Option<String>,
    /// Everybody whom `getent passwd` lists and who has such a file.
    #[arg(long)]
    pub all: bool,
    /// With --all: the users whose names stand in this file (or, with `-`, on standard input), one a line. For
    /// directory services that answer for single users and list nobody (`enumerate = false` in sssd).
    #[arg(long, value_name = "FILE", requires = "all")]
    pub users_from: Option<PathBuf>,
    /// Where the files are, as behind secret= in pam.d: `~`, `${HOME}` and `${USER}` stand for the user's.
    #[arg(long, value_name = "PATH", default_value = "~/.google_authenticator")]
    pub from: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub how: HowToImport,
}

/// `otpgate import oath`.
#[derive(Debug, Args)]
pub struct ImportOath {
    /// The users file: usersfile= in pam.d.
    pub file: PathBuf,
    /// The window= of the pam_oath line; it tells which code LAST_OTP was.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(..=1_000))]
    pub window: u64,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub how: HowToImport,
}

/// `otpgate import otpauth`.
#[derive(Debug, Args)]
pub struct ImportOtpauth {
    /// The file, or `-` for standard input.
    pub file: PathBuf,
    /// Whose keys these are; otherwise the account in each URI says it, less `@HOST` unless there is a user
    /// of the whole name.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub how: HowToImport,
}

/// What all imports have in common.
#[derive(Debug, Args)]
pub struct HowToImport {
    /// Only say what would happen.
    #[arg(long)]
    pub dry_run: bool,
    /// Replace the devices of users who are enrolled already; what they used up stays used up.
    #[arg(long)]
    pub force: bool,
    /// Take secrets of less than 128 bits.
    #[arg(long)]
    pub allow_weak: bool,
    /// The pam.d directory.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/etc/pam.d",
        hide_short_help = true
    )]
    pub pam_dir: PathBuf,
}

/// `otpgate seal`.
#[derive(Debug, Subcommand)]
pub enum Seal {
    /// Seal all secrets, and from now on every new one.
    ///
    /// Makes a key where there is none, and never overwrites one.
    Init {
        /// Where the key is, or is to be: outside of the state directory, and of its backups; at first
        /// /etc/otpgate/seal.key. Given later, the key has to be there already.
        #[arg(long, value_name = "PATH")]
        key_file: Option<PathBuf>,
    },
    /// Seal all secrets with a new key, then take the old one out of the key file.
    Rotate,
    /// Say whether secrets are sealed, with which key, and what is left to do.
    ///
    /// Exit status: 0, or 1 when the key is missing or not all accounts are as they should be.
    Status,
    /// Write all secrets in clear again. The key file stays.
    Off,
}

/// `otpgate setup`.
#[derive(Debug, Args)]
pub struct Setup {
    /// The PAM service: a file name in /etc/pam.d.
    pub service: String,
    /// Take everything back.
    #[arg(long, conflicts_with = "require")]
    pub undo: bool,
    /// Only show what would change.
    #[arg(long)]
    pub dry_run: bool,
    /// Refuse people who are not enrolled.
    #[arg(long)]
    pub require: bool,
    /// Let people enrol at their login, with an invite (`otpgate invite`) or where a rule says enrol = "open".
    #[arg(long, conflicts_with = "undo")]
    pub enrol: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
}

/// Where things are, for hosts that differ and for tests.
#[derive(Debug, Args)]
pub struct Places {
    /// The pam.d directory.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub pam_dir: Option<PathBuf>,
    /// The configuration of sshd.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub sshd_config: Option<PathBuf>,
    /// The sshd itself.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub sshd: Option<PathBuf>,
    /// The configuration of otpgate-sshd.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub otpgate_sshd_config: Option<PathBuf>,
    /// The otpgate-sshd itself.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub otpgate_sshd: Option<PathBuf>,
    /// Where libpam looks for modules.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub module_dir: Option<PathBuf>,
}

/// `otpgate enroll`.
#[derive(Debug, Args)]
pub struct Enroll {
    /// The user name.
    pub user: String,
    /// What to call the device; `phone`, or the channel's name, otherwise.
    #[arg(long, value_name = "ID")]
    pub device: Option<String>,
    /// A device whose codes follow the clock (RFC 6238); the default.
    #[arg(long, conflicts_with = "hotp")]
    pub totp: bool,
    /// A device whose codes follow a counter (RFC 4226).
    #[arg(long)]
    pub hotp: bool,
    /// Codes that are sent there, by a [channel.NAME] of the configuration.
    #[arg(
        long,
        value_name = "CHANNEL:ADDRESS",
        conflicts_with_all = ["totp", "hotp", "secret_from", "qr", "algorithm", "period", "issuer", "label"]
    )]
    pub delivered: Option<String>,
    /// A [profile.NAME] of the configuration.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub shape: Shape,
    /// The first counter.
    #[arg(
        long,
        value_name = "N",
        requires = "hotp",
        conflicts_with = "totp",
        default_value_t = 0
    )]
    pub counter: u64,
    /// Read the secret from a file, or from standard input: base32, or `hex:` and hexadecimal.
    #[arg(long, value_name = "FILE|-")]
    pub secret_from: Option<String>,
    /// Take a secret of less than 128 bits.
    #[arg(long, requires = "secret_from")]
    pub allow_weak: bool,
    /// Who issues the codes, as the phone shows it.
    #[arg(long, value_name = "TEXT")]
    pub issuer: Option<String>,
    /// Whose codes they are, as the phone shows it; USER@HOST otherwise.
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// Only for this PAM service; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub service: Vec<String>,
    /// Do not ask for a code to prove that the device works.
    #[arg(long)]
    pub no_confirm: bool,
    /// Replace a device of the same name.
    #[arg(long)]
    pub force: bool,
    /// The QR code: utf8, none, or the name of a .png or .svg file.
    #[arg(long, value_name = "HOW", default_value = "utf8")]
    pub qr: Target,
}

impl Enroll {
    /// What the device is called.
    #[must_use]
    pub fn device(&self) -> &str {
        let channel = self.delivered.as_deref();
        let channel = channel.and_then(|destination| destination.split(':').next());
        self.device.as_deref().or(channel).unwrap_or("phone")
    }
}

/// `otpgate deliver`.
#[derive(Debug, Args)]
pub struct Deliver {
    /// The user name.
    #[arg(required_unless_present_any = ["test", "job"], conflicts_with_all = ["test", "job"])]
    pub user: Option<String>,
    /// The device; see `otpgate show USER`.
    #[arg(long, value_name = "ID", requires = "user")]
    pub device: Option<String>,
    /// For a login of this PAM service.
    #[arg(long, value_name = "NAME", default_value = "sshd")]
    pub service: String,
    /// Send a code that lets nobody in, to try the channel.
    #[arg(long, num_args = 2, value_names = ["CHANNEL", "ADDRESS"])]
    pub test: Vec<String>,
    /// Send what standard input says, and log it; for pam_otpgate.so, which starts this.
    #[arg(long, conflicts_with = "test")]
    pub job: bool,
}

/// What codes look like.
#[derive(Debug, Clone, Args)]
pub struct Shape {
    /// The hash; sha1 otherwise. Some phone apps know only sha1.
    #[arg(long, value_enum)]
    pub algorithm: Option<AlgorithmName>,
    /// Digits of a code: 6 (the default), 7 or 8.
    #[arg(long, value_name = "N")]
    pub digits: Option<u8>,
    /// Length of a time step, in seconds; 30 otherwise.
    #[arg(long, value_name = "SECONDS", conflicts_with = "hotp")]
    pub period: Option<u32>,
}

/// Names of hashes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum AlgorithmName {
    /// HMAC-SHA-1.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl From<AlgorithmName> for Algorithm {
    fn from(name: AlgorithmName) -> Self {
        match name {
            AlgorithmName::Sha1 => Self::Sha1,
            AlgorithmName::Sha256 => Self::Sha256,
            AlgorithmName::Sha512 => Self::Sha512,
        }
    }
}

/// `otpgate code`.
#[derive(Debug, Args)]
pub struct Code {
    /// Read the secret from a file, or from standard input: base32, or `hex:` and hexadecimal.
    #[arg(long, value_name = "FILE|-")]
    pub secret_from: String,
    /// By counter instead of by clock.
    #[arg(long, requires = "counter")]
    pub hotp: bool,
    /// The counter.
    #[arg(long, value_name = "N", requires = "hotp")]
    pub counter: Option<u64>,
    /// The moment, in seconds since 1970; now otherwise.
    #[arg(long, value_name = "UNIXTIME", conflicts_with = "hotp")]
    pub at: Option<u64>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub shape: Shape,
}

/// `otpgate verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The user name.
    pub user: String,
    /// As a login of this PAM service.
    #[arg(long, value_name = "NAME", default_value = "sshd")]
    pub service: String,
    /// As a login from this address.
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<IpAddr>,
}

/// `otpgate test-login`.
#[derive(Debug, Args)]
pub struct TestLogin {
    /// The PAM service.
    pub service: String,
    /// The user name.
    pub user: String,
    /// As a login from this address.
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<IpAddr>,
    /// A pam.d directory of your own.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub pam_dir: Option<PathBuf>,
}

/// `otpgate remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// The user name.
    pub user: String,
    /// Only this device.
    #[arg(long, value_name = "ID")]
    pub device: Option<String>,
    /// Remove damaged files too.
    #[arg(long, conflicts_with = "device")]
    pub force: bool,
}

/// `otpgate check`.
#[derive(Debug, Args)]
pub struct Check {
    /// What sshd does for this user, Match blocks included.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// What sshd does for logins from this address.
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<IpAddr>,
    /// Instead of all that: which rule applies to this user, why the earlier ones do not, and what a login
    /// would be asked. Exit status: 0, or 1 when nobody could log in so.
    #[arg(long, value_name = "USER", conflicts_with = "user")]
    pub explain: Option<String>,
    /// With --explain: at this PAM service.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "sshd",
        requires = "explain"
    )]
    pub service: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub places: Places,
}

/// `otpgate askpass`.
#[derive(Debug, Args)]
pub struct Askpass {
    /// The question, from ssh.
    #[arg(
        allow_hyphen_values = true,
        required_unless_present_any = ["run", "test"],
        conflicts_with_all = ["run", "test"]
    )]
    pub prompt: Option<OsString>,
    /// Start a command whose ssh asks here: SSH_ASKPASS and SSH_ASKPASS_REQUIRE are set for it alone.
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true, conflicts_with = "test")]
    pub run: Vec<OsString>,
    /// Say whether everything that askpass.toml names can be read, without using up a code.
    #[arg(long)]
    pub test: bool,
}
