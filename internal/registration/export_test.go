package registration

// SetMostSelected is for tests: MaxSelected people take long to make.
func (s *Service) SetMostSelected(n int) { s.mostSelected = n }
