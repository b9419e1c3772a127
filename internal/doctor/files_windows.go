package doctor

// files has nothing to look at: Windows keeps access in lists, which the data
// folder inherits.
func (e *examination) files() { e.well("files", "access is inherited from the folder above") }
