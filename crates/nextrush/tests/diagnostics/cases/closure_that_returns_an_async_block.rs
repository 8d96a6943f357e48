use nextrush::{Message, Socket};

pub fn connected(socket: Socket) {
    let greeting = String::from("hello");
    // The words for this are the compiler's own.
    socket.on_message(move |socket: Socket, _: Message| async move { socket.send(greeting) });
    //~ to implement `EventHandler<
    //~ AsyncFn
}
