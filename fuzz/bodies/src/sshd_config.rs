//! Lines of sshd_config, and whether an Include takes in a file.

use std::path::Path;

use admin_cli::host::sshd_config::{include_covers, words};

pub fn sshd_config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        for word in words(line) {
            assert!(!word.is_empty() && !word.contains('"'));
        }
        // A comment says nothing, whatever stands in it.
        assert!(words(&format!("# {line}")).is_empty());
        if let Some((pattern, path)) = line.split_once(' ') {
            let covers = include_covers(pattern, Path::new(path));
            // A name without wildcards is that name.
            if !pattern.contains(['*', '?']) && covers {
                assert_eq!(Path::new("/etc/ssh").join(pattern), Path::new(path));
            }
        }
    }
}
