use nextrush::{App, Message, Socket};

pub fn app() -> App {
    let mut app = App::new();
    app.ws("/todo", |_: Socket| todo!());
    app.ws("/", async |socket: Socket| {
        socket.on_message(|_: Socket, _: Message| todo!());
        socket.on_message(async |_: Socket, _: Message| panic!("not yet"));
    });
    app
}
