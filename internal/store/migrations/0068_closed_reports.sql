-- +goose Up

-- The list of problem reports comes in pages; behind the open ones are the
-- closed ones, the newest first.
CREATE INDEX problem_reports_closed ON problem_reports (closed_at DESC, id) WHERE closed_at IS NOT NULL;
