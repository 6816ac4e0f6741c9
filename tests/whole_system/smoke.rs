//! Temporary.
use tripod_tests::*;
#[tokio::test]
async fn smoke() {
    let mut server = Server::start().await;
    let kevin = server.person("kevin").await;
    let t = std::time::Instant::now();
    let phone = photo::of_phone().to_vec();
    println!("phone {:?} {}", t.elapsed(), phone.len());
    let post = kevin.publish(&PhotoPost::of([phone]).caption("hi")).await.expect(201);
    println!("{post:#}");
    println!("{:?}", kevin.feed().await.len());
    println!("{:#?}", server.stored().await.tables.keys());
    println!("{:#?}", server.stored().await.files);
    println!("{:?}", server.terminate().await);
}
