package problemreport

import "context"

// ProvenKey is for fuzzing.
func ProvenKey(s *Service, proof []byte) ([]byte, error) { return s.provenKey(proof) }

// CatchUp is one round of Maintain.
func CatchUp(ctx context.Context, s *Service) error { return s.catchUp(ctx) }

// ReadPlace reads where a page ended.
var ReadPlace = readPlace
