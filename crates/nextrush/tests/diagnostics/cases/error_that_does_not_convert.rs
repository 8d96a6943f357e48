use nextrush::{Message, Socket};

pub struct Status(pub u16);

pub fn connected(socket: Socket) {
    socket.on_message(async |socket: Socket, message: Message| -> Result<(), Status> {
        socket.send(message);
        Err(Status(404))
    });
    //~ this function cannot handle the event `
    //~ an error that it returns has to convert into `BoxError`
}
