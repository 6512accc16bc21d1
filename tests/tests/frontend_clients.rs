//! Every client that people use logs in to otpgate-sshd with password and code, and only so.

tests::for_every_client!(Program::Frontend);
