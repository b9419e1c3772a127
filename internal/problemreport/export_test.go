package problemreport

// ProvenKey is for fuzzing.
func ProvenKey(s *Service, proof []byte) ([]byte, error) { return s.provenKey(proof) }
