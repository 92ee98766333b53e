module github.com/onceward/onceward/bench

go 1.26

replace github.com/onceward/onceward => ..
