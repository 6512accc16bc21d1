use std::io::Read;
use std::time::Duration;

use super::super::flow::WINDOW;
use super::*;

fn pipe() -> (std::io::PipeReader, Arc<Descriptor>) {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    (reader, Arc::new(watch(OwnedFd::from(writer)).unwrap()))
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

#[tokio::test]
async fn what_a_program_does_not_take_at_once_arrives_in_order() {
    let flow = Arc::new(Flow::default());
    let (mut reader, descriptor) = pipe();
    let input = Input::new(descriptor, false, Arc::clone(&flow));
    let sent = bytes(1_000_000);
    for piece in sent.chunks(1000) {
        input.push(piece).unwrap();
    }
    input.end();
    assert!(input.state().queued > 900_000);
    let read = tokio::task::spawn_blocking(move || {
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        read
    });
    tokio::time::timeout(Duration::from_secs(5), input.closed())
        .await
        .unwrap();
    assert!(read.await.unwrap() == sent);
    assert_eq!(flow.target(), WINDOW);
}

#[tokio::test]
async fn what_fits_is_written_without_waiting() {
    let (mut reader, descriptor) = pipe();
    let input = Input::new(descriptor, false, Arc::default());
    input.push(b"hello").unwrap();
    let mut read = [0; 5];
    reader.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"hello");
}

#[tokio::test]
async fn a_program_that_is_gone_costs_nothing() {
    let flow = Arc::new(Flow::default());
    let (reader, descriptor) = pipe();
    let input = Input::new(descriptor, false, Arc::clone(&flow));
    input.push(&bytes(200_000)).unwrap();
    drop(reader);
    tokio::time::timeout(Duration::from_secs(5), input.closed())
        .await
        .unwrap();
    input.push(&bytes(200_000)).unwrap();
    assert_eq!(input.state().queued, 0);
}

#[tokio::test]
async fn closing_lets_go_of_the_descriptor_though_a_queue_waits() {
    let (mut reader, descriptor) = pipe();
    let input = Input::new(descriptor, false, Arc::default());
    input.push(&bytes(200_000)).unwrap();
    tokio::task::yield_now().await;
    input.close();
    let read = tokio::task::spawn_blocking(move || reader.read_to_end(&mut Vec::new()).unwrap());
    let length = tokio::time::timeout(Duration::from_secs(5), read).await;
    assert!(length.unwrap().unwrap() < 200_000);
}

#[tokio::test]
async fn who_ignores_their_window_is_noticed() {
    let (_reader, descriptor) = pipe();
    let input = Input::new(descriptor, false, Arc::default());
    let piece = bytes(32 * 1024);
    let overrun = (0..1000).any(|_| input.push(&piece).is_err());
    assert!(overrun);
    assert!(input.state().queued <= MOST_QUEUED + piece.len());
}

#[tokio::test]
async fn a_terminal_stays_open_when_the_client_has_no_more_to_say() {
    let (_reader, descriptor) = pipe();
    let input = Input::new(descriptor, true, Arc::default());
    input.push(b"exit\n").unwrap();
    input.end();
    assert!(input.state().descriptor.is_some());
}
