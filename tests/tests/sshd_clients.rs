//! Every client that people use logs in to Debian's sshd with password and code, and only so.

tests::for_every_client!(Program::Sshd);
