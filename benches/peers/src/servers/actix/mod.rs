//! The servers on actix-web. Their connections to Redis belong to the main thread, as in programs that begin with `#[actix_web::main]`.

mod limit;
mod ours;
mod peers;

use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer, rt};

use super::{Error, Kind};

pub fn serve(kind: Kind, redis: &str) -> Result<(), Error> {
    rt::System::new().block_on(async {
        match kind {
            Kind::ActixLimit => run(limit::routes(redis).await?).await,
            Kind::ActixOurs => run(ours::routes(redis)?).await,
            Kind::ActixSession => run(peers::sessions(redis).await?).await,
            Kind::ActixLimitation => run(peers::limits(redis)?).await,
            _ => Err("not a server on actix-web".into()),
        }
    })
}

async fn run(routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Result<(), Error> {
    let app = move || App::new().configure(routes.clone());
    let server = HttpServer::new(app).workers(2).bind("127.0.0.1:0")?;
    let addr = server.addrs().first().copied().ok_or("no address")?;
    println!("listening on http://{addr}");
    Ok(server.run().await?)
}
