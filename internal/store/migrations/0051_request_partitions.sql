-- +goose Up

-- In how many partitions the authority's CRL will be published: certificates
-- name them, so that it is fixed with the key.
ALTER TABLE authority_requests ADD COLUMN crl_partitions BIGINT NOT NULL DEFAULT 1;
