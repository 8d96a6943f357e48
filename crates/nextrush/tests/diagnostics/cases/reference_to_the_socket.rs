use nextrush::{Message, Socket};

pub fn connected(socket: Socket) {
    socket.on_message(|socket: &Socket, message: Message| socket.send(message));
    //~ this function cannot handle the event `
    //~ no function of a `Socket` and a `
    //~ and not a `&Socket`
}
