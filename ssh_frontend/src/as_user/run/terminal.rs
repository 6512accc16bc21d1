//! The terminal of a session: made the controlling one, with the client's size and modes.

use std::os::fd::OwnedFd;

use rustix::process::ioctl_tiocsctty;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios,
    tcgetattr, tcsetattr, tcsetwinsize,
};

use crate::protocol::Terminal;

/// The opcodes of the speeds (RFC 4254, section 8), in bits per second.
const INPUT_SPEED: u8 = 128;
const OUTPUT_SPEED: u8 = 129;
/// The argument of a special character that is switched off, and what Linux calls that.
const NO_CHARACTER: u32 = 255;
const DISABLED: u8 = 0;

/// Makes it the controlling terminal of the session that this process leads, and sets it up.
///
/// # Errors
/// When it is none, or somebody else's. Size and modes that do not fit are not worth a session.
pub fn take(terminal: &OwnedFd, kind: &Terminal) -> Result<(), String> {
    ioctl_tiocsctty(terminal).map_err(|error| format!("taking the terminal: {error}"))?;
    let _ = tcsetwinsize(terminal, kind.size.into());
    if let Ok(mut attributes) = tcgetattr(terminal) {
        for (opcode, argument) in &kind.modes {
            apply(&mut attributes, *opcode, *argument);
        }
        let _ = tcsetattr(terminal, OptionalActions::Now, &attributes);
    }
    Ok(())
}

/// What an opcode stands for.
enum Mode {
    Character(SpecialCodeIndex),
    Input(InputModes),
    Local(LocalModes),
    Output(OutputModes),
    Control(ControlModes),
    CharacterSize(ControlModes),
}

/// RFC 4254, section 8, and RFC 8160 for IUTF8. Not here: VDSUSP (11), VFLUSH (15) and VSTATUS (17), which
/// Linux does not have.
fn meaning(opcode: u8) -> Option<Mode> {
    use Mode::{Character, CharacterSize, Control, Input, Local, Output};
    Some(match opcode {
        1 => Character(SpecialCodeIndex::VINTR),
        2 => Character(SpecialCodeIndex::VQUIT),
        3 => Character(SpecialCodeIndex::VERASE),
        4 => Character(SpecialCodeIndex::VKILL),
        5 => Character(SpecialCodeIndex::VEOF),
        6 => Character(SpecialCodeIndex::VEOL),
        7 => Character(SpecialCodeIndex::VEOL2),
        8 => Character(SpecialCodeIndex::VSTART),
        9 => Character(SpecialCodeIndex::VSTOP),
        10 => Character(SpecialCodeIndex::VSUSP),
        12 => Character(SpecialCodeIndex::VREPRINT),
        13 => Character(SpecialCodeIndex::VWERASE),
        14 => Character(SpecialCodeIndex::VLNEXT),
        16 => Character(SpecialCodeIndex::VSWTC),
        18 => Character(SpecialCodeIndex::VDISCARD),
        30 => Input(InputModes::IGNPAR),
        31 => Input(InputModes::PARMRK),
        32 => Input(InputModes::INPCK),
        33 => Input(InputModes::ISTRIP),
        34 => Input(InputModes::INLCR),
        35 => Input(InputModes::IGNCR),
        36 => Input(InputModes::ICRNL),
        37 => Input(InputModes::IUCLC),
        38 => Input(InputModes::IXON),
        39 => Input(InputModes::IXANY),
        40 => Input(InputModes::IXOFF),
        41 => Input(InputModes::IMAXBEL),
        42 => Input(InputModes::IUTF8),
        50 => Local(LocalModes::ISIG),
        51 => Local(LocalModes::ICANON),
        52 => Local(LocalModes::XCASE),
        53 => Local(LocalModes::ECHO),
        54 => Local(LocalModes::ECHOE),
        55 => Local(LocalModes::ECHOK),
        56 => Local(LocalModes::ECHONL),
        57 => Local(LocalModes::NOFLSH),
        58 => Local(LocalModes::TOSTOP),
        59 => Local(LocalModes::IEXTEN),
        60 => Local(LocalModes::ECHOCTL),
        61 => Local(LocalModes::ECHOKE),
        62 => Local(LocalModes::PENDIN),
        70 => Output(OutputModes::OPOST),
        71 => Output(OutputModes::OLCUC),
        72 => Output(OutputModes::ONLCR),
        73 => Output(OutputModes::OCRNL),
        74 => Output(OutputModes::ONOCR),
        75 => Output(OutputModes::ONLRET),
        90 => CharacterSize(ControlModes::CS7),
        91 => CharacterSize(ControlModes::CS8),
        92 => Control(ControlModes::PARENB),
        93 => Control(ControlModes::PARODD),
        _ => return None,
    })
}

fn apply(attributes: &mut Termios, opcode: u8, argument: u32) {
    let on = argument != 0;
    match opcode {
        // A speed of 0 hangs up (termios(3)).
        INPUT_SPEED | OUTPUT_SPEED if !on => {}
        INPUT_SPEED => attributes.set_input_speed(argument).unwrap_or_default(),
        OUTPUT_SPEED => attributes.set_output_speed(argument).unwrap_or_default(),
        _ => match meaning(opcode) {
            Some(Mode::Character(index)) => {
                if let Some(code) = character(argument) {
                    attributes.special_codes[index] = code;
                }
            }
            Some(Mode::Input(mode)) => attributes.input_modes.set(mode, on),
            Some(Mode::Local(mode)) => attributes.local_modes.set(mode, on),
            Some(Mode::Output(mode)) => attributes.output_modes.set(mode, on),
            Some(Mode::Control(mode)) => attributes.control_modes.set(mode, on),
            // Two bits that together are a number: a size that is off says nothing about which is on.
            Some(Mode::CharacterSize(size)) if on => {
                attributes.control_modes.remove(ControlModes::CSIZE);
                attributes.control_modes.insert(size);
            }
            Some(Mode::CharacterSize(_)) | None => {}
        },
    }
}

/// None: not a character of this terminal.
fn character(argument: u32) -> Option<u8> {
    if argument == NO_CHARACTER {
        return Some(DISABLED);
    }
    u8::try_from(argument).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Size;
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    use rustix::termios::tcgetwinsize;

    fn fresh() -> (OwnedFd, OwnedFd) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        unlockpt(&master).unwrap();
        let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        (master, slave)
    }

    fn attributes() -> Termios {
        let (_master, slave) = fresh();
        tcgetattr(&slave).unwrap()
    }

    #[test]
    fn rfc_4254_section_8_each_flag_is_set_and_cleared() {
        let bits = |a: &Termios| {
            [
                a.input_modes.bits(),
                a.output_modes.bits(),
                a.control_modes.bits(),
                a.local_modes.bits(),
            ]
        };
        let flags = (30..=42).chain(50..=62).chain(70..=75).chain(92..=93);
        for opcode in flags {
            let mut with = attributes();
            apply(&mut with, opcode, 1);
            let mut without = attributes();
            apply(&mut without, opcode, 0);
            let differing: u32 = bits(&with)
                .iter()
                .zip(bits(&without))
                .map(|(one, other)| (one ^ other).count_ones())
                .sum();
            assert_eq!(differing, 1, "opcode {opcode}");
        }
    }

    #[test]
    fn rfc_4254_section_8_each_character_has_its_place() {
        let characters = (1..=10).chain(12..=14).chain([16, 18]);
        for opcode in characters {
            let mut attributes = attributes();
            apply(&mut attributes, opcode, 0xfe);
            let Some(Mode::Character(index)) = meaning(opcode) else {
                panic!("opcode {opcode}");
            };
            assert_eq!(attributes.special_codes[index], 0xfe, "opcode {opcode}");
            apply(&mut attributes, opcode, 255);
            assert_eq!(attributes.special_codes[index], DISABLED, "opcode {opcode}");
            apply(&mut attributes, opcode, 0x141);
            assert_eq!(attributes.special_codes[index], DISABLED, "opcode {opcode}");
        }
    }

    #[test]
    fn opcodes_that_linux_does_not_know_change_nothing() {
        let before = format!("{:?}", attributes());
        for opcode in [0, 11, 15, 17, 19, 43, 63, 76, 94, 127, 130, 160, 255] {
            let mut attributes = attributes();
            apply(&mut attributes, opcode, 1);
            assert_eq!(format!("{attributes:?}"), before, "opcode {opcode}");
        }
    }

    #[test]
    fn a_size_of_characters_that_is_off_does_not_undo_the_one_that_is_on() {
        for modes in [[(90, 0), (91, 1)], [(91, 1), (90, 0)], [(90, 1), (91, 1)]] {
            let mut attributes = attributes();
            for (opcode, argument) in modes {
                apply(&mut attributes, opcode, argument);
            }
            let size = attributes.control_modes & ControlModes::CSIZE;
            assert_eq!(size, ControlModes::CS8, "{modes:?}");
        }
    }

    #[test]
    fn a_speed_of_nothing_is_not_taken_for_one() {
        let mut attributes = attributes();
        apply(&mut attributes, INPUT_SPEED, 9600);
        apply(&mut attributes, OUTPUT_SPEED, 19200);
        for opcode in [INPUT_SPEED, OUTPUT_SPEED] {
            apply(&mut attributes, opcode, 0);
        }
        assert_eq!(attributes.input_speed(), 9600);
        assert_eq!(attributes.output_speed(), 19200);
    }

    #[test]
    fn a_window_beyond_what_a_terminal_can_say_is_as_large_as_it_can() {
        let (_master, slave) = fresh();
        let size = Size {
            columns: 132,
            rows: 70_000,
            x_pixels: 0,
            y_pixels: u32::MAX,
        };
        tcsetwinsize(&slave, size.into()).unwrap();
        let set = tcgetwinsize(&slave).unwrap();
        assert_eq!((set.ws_col, set.ws_row), (132, u16::MAX));
        assert_eq!((set.ws_xpixel, set.ws_ypixel), (0, u16::MAX));
    }
}
