use nextrush::{App, Socket};

pub struct Status(pub u16);

pub fn app() -> App {
    let mut app = App::new();
    app.ws("/", |_: Socket| Err::<(), _>(Status(404)));
    //~ is no handler of a WebSocket endpoint
    //~ the error `E` has to convert into `BoxError`
    app
}
