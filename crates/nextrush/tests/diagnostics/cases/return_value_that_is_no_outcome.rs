use nextrush::{CloseReason, Socket};

pub fn connected(socket: Socket) {
    socket.on_close(|_: Socket, _: CloseReason| 7);
    //~ this function cannot handle the event `
    //~ that returns nothing or a `Result<(), _>`
}
