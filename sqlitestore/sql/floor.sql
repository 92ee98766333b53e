UPDATE onceward_floor SET token = ?1 WHERE token < ?1;
