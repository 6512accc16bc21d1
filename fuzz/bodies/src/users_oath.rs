//! pam_oath's users file, a line at a time.

use admin_cli::commands::import::oath_line::{OathLine, is_comment, parse, user_of};
use otp_core::account::Kind;

pub fn users_oath(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        match parse(line) {
            Ok(read) => {
                assert!(!is_comment(line));
                let user = user_of(line).expect("a line that can be read has a user");
                is_read_again(&read, user);
            }
            Err(why) => assert!(!why.contains("5ec2e75ec2e7"), "{why}"),
        }
    }
}

fn is_read_again(read: &OathLine, user: &[u8]) {
    let (shape, counter) = match read.kind {
        Kind::Hotp { counter } => ("HOTP/E".to_owned(), counter),
        Kind::Totp { period } => (format!("HOTP/T{}", period.seconds()), 0),
        Kind::Delivered { .. } => panic!("no line says so"),
    };
    let pin = if read.has_pin { "1234" } else { "-" };
    let hex: String = read
        .secret
        .expose()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let digits = read.digits.count();
    let mut line = format!("{shape}/{digits}\t").into_bytes();
    line.extend_from_slice(user);
    line.extend(format!(" {pin} {hex} {counter}").bytes());
    if let Some(last) = &read.last {
        line.extend(format!(" {}", *last.code.expose()).bytes());
        if let Some(time) = last.time {
            line.extend(format!(" {}L", time.strftime("%Y-%m-%dT%H:%M:%S")).bytes());
        }
    }
    let again = parse(&line).expect("the same line, written plainly");
    assert_eq!(user_of(&line), Some(user));
    assert_eq!((&again.kind, again.digits), (&read.kind, read.digits));
    assert_eq!(
        (again.has_pin, again.secret),
        (read.has_pin, read.secret.clone())
    );
    let last = |line: &Option<admin_cli::commands::import::oath_line::Last>| {
        let last = line.as_ref();
        last.map(|last| (last.code.expose().to_string(), last.time))
    };
    assert_eq!(last(&again.last), last(&read.last));
}
