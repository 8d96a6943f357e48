use nextrush::App;

#[derive(Clone)]
pub struct Database;

pub async fn serve(app: App<Database>) -> nextrush::Result {
    app.listen(3000).await
    //~ the routes of this application still need their state: it is an `App<Database>`
    //~ call `with_state` before this
}
