//! Times a search of the vectors in memory: `search [POINTS [DIMENSIONS]]`, 100,000 of 256 unless
//! said otherwise. Prints one JSON object. Recall is against sums in 64 bits over all points.

use std::{num::NonZeroUsize, time::Instant};

use quizmentor_core::{QuestionId, Status};
use quizmentor_store::vectors::{Hit, Memory, Payload, Point, VectorFilter, Vectors};
use serde_json::json;

const QUERIES: usize = 500;
const LIMIT: usize = 10;
/// Points of one topic lie around its centre.
const TOPICS: usize = 400;
/// How far, as a share of the centre's length.
const SPREAD: f32 = 0.7;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<NonZeroUsize>());
    let points = numbers.next().transpose()?.map_or(100_000, NonZeroUsize::get);
    let dimensions = numbers.next().transpose()?.map_or(256, NonZeroUsize::get);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let topics: Vec<_> = (0..TOPICS).map(|_| random.vector(dimensions)).collect();
    let mut near_a_topic = || {
        let noise = random.vector(dimensions);
        let topic = &topics[random.next() as usize % TOPICS];
        topic.iter().zip(noise).map(|(x, y)| x + SPREAD * y).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<f32>> = (0..points).map(|_| near_a_topic()).collect();
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|_| near_a_topic()).collect();

    let room = NonZeroUsize::new(dimensions).ok_or("no dimensions")?;
    let vectors = Memory::new(room, points);
    for (chunk, rows) in rows.chunks(1_000).enumerate() {
        let chunk: Vec<_> =
            rows.iter().enumerate().map(|(n, row)| point(1_000 * chunk + n, row)).collect();
        vectors.put(&chunk).await?;
    }
    let (mut times, mut found, mut wanted) = (Vec::new(), 0, 0);
    for (n, query) in queries.iter().enumerate() {
        let begin = Instant::now();
        let hits = vectors.search(query, &VectorFilter::default(), LIMIT).await?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        if n % 10 == 0 {
            let nearest = nearest(&rows, query);
            wanted += nearest.len();
            found += nearest.iter().filter(|&&row| has(&hits, row)).count();
        }
    }
    times.sort_by(f64::total_cmp);
    let percentile = |share: f64| times[(share * times.len() as f64).ceil() as usize - 1];
    let report = json!({
        "points": points, "dimensions": dimensions, "queries": QUERIES, "limit": LIMIT,
        "p50_ms": percentile(0.5), "p99_ms": percentile(0.99),
        "recall": found as f64 / wanted as f64,
    });
    println!("{report}");
    Ok(())
}

fn name(row: usize) -> String {
    format!("q-{row}")
}

fn point(row: usize, vector: &[f32]) -> Point {
    Point {
        id: QuestionId::new(name(row)).expect("a sound id"),
        vector: vector.to_vec(),
        payload: Payload {
            skill: "biology/cells".parse().expect("a sound skill"),
            level: None,
            language: "eng".to_owned(),
            status: Status::Published,
        },
    }
}

fn has(hits: &[Hit], row: usize) -> bool {
    hits.iter().any(|hit| hit.id.as_str() == name(row))
}

/// The rows with the greatest cosine.
fn nearest(rows: &[Vec<f32>], query: &[f32]) -> Vec<usize> {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    };
    let mut all: Vec<_> = rows
        .iter()
        .enumerate()
        .map(|(n, row)| (dot(row, query) / dot(row, row).sqrt(), n))
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().take(LIMIT).map(|(_, n)| n).collect()
}

/// Numbers that are the same in each run (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A direction, all equally likely: each number the sum of four.
    fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        let number = |random: &mut Self| (random.next() >> 40) as f32 / (1 << 24) as f32 - 0.5;
        let vector: Vec<f32> =
            (0..dimensions).map(|_| (0..4).map(|_| number(self)).sum()).collect();
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter().map(|x| x / length).collect()
    }
}
